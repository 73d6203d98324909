# iOS on arm64 with Xcode's SDK (build on macOS). XNNPACK must be built for iOS by you; without it
# configure with -DQRT_WITH_XNNPACK=OFF.
set(CMAKE_SYSTEM_NAME iOS)
set(CMAKE_OSX_ARCHITECTURES arm64)
set(CMAKE_OSX_DEPLOYMENT_TARGET 13.0)
set(CMAKE_SYSTEM_PROCESSOR arm64)
