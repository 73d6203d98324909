# For people: all real work is CMake's. Needs Debian 12 or newer (or the packages of
# toolchains/bootstrap.sh by another way: then set QRT_BOOTSTRAP=true).
JOBS ?= $(shell nproc)
QRT_BOOTSTRAP ?= toolchains/bootstrap.sh
BUILD = build/release

.PHONY: build test test-long demo bench asan plain arm clean

build:
	@$(QRT_BOOTSTRAP) build
	@test -f $(BUILD)/build.ninja || cmake --preset release
	@cmake --build $(BUILD) -j $(JOBS)

test: build
	ctest --test-dir $(BUILD) -LE long --output-on-failure -j $(JOBS)

test-long: build
	ctest --test-dir $(BUILD) -L long --no-tests=error --output-on-failure

demo: build
	@examples/demo/run.sh $(BUILD)/bin

bench:
	@$(QRT_BOOTSTRAP) build bench
	@toolchains/faiss.sh build/faiss || echo "bench: faiss cannot be built, so its rows are missing" >&2
	@test -f build/bench/build.ninja || cmake --preset bench -DQRT_BUILD_TESTS=OFF
	@cmake --build build/bench -j $(JOBS)
	@bench/run.sh build/bench/bin

asan plain:
	@$(QRT_BOOTSTRAP) build
	@test -f build/$@/build.ninja || cmake --preset $@
	@cmake --build build/$@ -j $(JOBS)
	ctest --test-dir build/$@ -LE "long|gate" --output-on-failure -j $(JOBS)

arm:
	@$(QRT_BOOTSTRAP) build arm
	@toolchains/arm-tests.sh build

clean:
	rm -rf build
