# Warnings and modes shared by every target of the house.

add_library(qrt_warnings INTERFACE)
target_compile_options(qrt_warnings INTERFACE -Wall -Wextra -Wshadow
  $<$<CXX_COMPILER_ID:GNU>:$<$<COMPILE_LANGUAGE:CXX>:-Wmissing-declarations>>
  $<$<CXX_COMPILER_ID:Clang>:-Wmissing-prototypes>)
if(QRT_WERROR)
  target_compile_options(qrt_warnings INTERFACE -Werror)
endif()
if(QRT_SANITIZE)
  target_compile_options(qrt_warnings INTERFACE -fsanitize=${QRT_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all -fno-sanitize=vptr)  # no RTTI in what ships, so no vptr to check
  target_link_options(qrt_warnings INTERFACE -fsanitize=${QRT_SANITIZE})
endif()

# What ships: no exceptions, no RTTI, hidden symbols, warnings as strict as they get.
add_library(qrt_shipped INTERFACE)
target_link_libraries(qrt_shipped INTERFACE qrt_warnings)
target_compile_options(qrt_shipped INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions;-fno-rtti;-fvisibility=hidden;-fvisibility-inlines-hidden>
  -Wconversion -Wno-sign-conversion)

# All .cc files of the named folders under the current one.
function(qrt_sources out)
  set(found)
  foreach(dir ${ARGN})
    file(GLOB here CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${dir}/*.cc)
    list(APPEND found ${here})
  endforeach()
  set(${out} ${found} PARENT_SCOPE)
endfunction()
