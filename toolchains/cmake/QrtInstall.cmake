# What `cmake --install` puts where: component `library` (headers, libqrt, pkg-config and CMake
# package) and component `tools` (qrt, qrt-convert, qrt-verify).
include(CMakePackageConfigHelpers)

set(QRT_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/qrt)
set_target_properties(qrt_shared PROPERTIES EXPORT_NAME qrt)
target_include_directories(qrt_shared INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
install(TARGETS qrt_shared EXPORT qrtTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(FILES $<TARGET_FILE:qrt_static> DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(FILES ${PROJECT_SOURCE_DIR}/runtime/include/qrt.h ${PROJECT_SOURCE_DIR}/runtime/include/qrt.hpp
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library)
install(EXPORT qrtTargets NAMESPACE qrt:: DESTINATION ${QRT_CMAKE_DIR} COMPONENT library)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/qrtConfigVersion.cmake COMPATIBILITY SameMinorVersion)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/qrtConfig.cmake.in
  ${PROJECT_BINARY_DIR}/qrtConfig.cmake INSTALL_DESTINATION ${QRT_CMAKE_DIR})
install(FILES ${PROJECT_BINARY_DIR}/qrtConfig.cmake ${PROJECT_BINARY_DIR}/qrtConfigVersion.cmake
  DESTINATION ${QRT_CMAKE_DIR} COMPONENT library)

# The .pc file finds its prefix from where it lies: an installed tree may be moved.
file(RELATIVE_PATH QRT_PC_TO_PREFIX "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
set(QRT_PC_PRIVATE "-lstdc++ -lm -pthread")
if(QRT_CPUINFO_LIBRARY)
  string(PREPEND QRT_PC_PRIVATE "-lcpuinfo ")
endif()
if(QRT_PTHREADPOOL_LIBRARY)
  string(PREPEND QRT_PC_PRIVATE "-lpthreadpool ")
endif()
if(QRT_WITH_XNNPACK)
  string(PREPEND QRT_PC_PRIVATE "-lXNNPACK ")
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/qrt.pc.in ${PROJECT_BINARY_DIR}/qrt.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/qrt.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)

foreach(tool qrt_tool qrt-convert qrt-verify)
  if(TARGET ${tool})
    install(TARGETS ${tool} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
  endif()
endforeach()
