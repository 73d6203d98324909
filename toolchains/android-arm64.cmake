# Android on arm64 with an installed NDK (environment variable ANDROID_NDK_HOME). Sixteen-kilobyte
# pages are set in runtime/CMakeLists.txt. XNNPACK must be built for Android by you; without it
# configure with -DQRT_WITH_XNNPACK=OFF.
if(NOT DEFINED ENV{ANDROID_NDK_HOME})
  message(FATAL_ERROR "ANDROID_NDK_HOME is not set: point it at an installed Android NDK (r25 or newer)")
endif()
set(ANDROID_ABI arm64-v8a)
set(ANDROID_PLATFORM android-24)
set(ANDROID_STL c++_static)
include("$ENV{ANDROID_NDK_HOME}/build/cmake/android.toolchain.cmake")
