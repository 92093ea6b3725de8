# make help lists the targets.
export CGO_ENABLED ?= 0

# Capital first words of errors are symbols here: T, W, M (ST1005).
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
KERNELS     := $(notdir $(patsubst %/main.go,%,$(wildcard kernels/_gen/*/main.go)))

.PHONY: help
help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.PHONY: build
build: ## both commands, to bin/
	go build -o bin/ ./cmd/...

.PHONY: test
test: ## all tests
	go test ./...

.PHONY: check
check: test vet lint race generated ## everything that must hold before a change is done

.PHONY: vet
vet: ## go vet for amd64 and arm64
	GOARCH=amd64 go vet ./...
	GOARCH=arm64 go vet ./...

PORTS := linux/386 linux/s390x darwin/arm64 windows/amd64
# Small enough for an emulator: random numbers, spins, plain Go kernels, files.
PORTABLE := ./spin ./spin/philox ./kernels/gemm ./kernels/elem ./kernels/ascent ./kernels/gibbs ./kernels/lattice \
            ./model/safetensors ./model/npy ./model/modelfile ./model/couplings ./model/atomicfile

.PHONY: portable
portable: ## other systems compile; small tests with 32 bits and, under qemu, big-endian
	@set -e; for p in $(PORTS); do echo "vet $$p"; GOOS=$${p%/*} GOARCH=$${p#*/} go vet ./...; done
	GOARCH=386 go test -short $(PORTABLE)
	@command -v qemu-s390x-static >/dev/null || { echo "big-endian tests need qemu-s390x-static: install qemu-user-static"; exit 1; }
	GOARCH=s390x go test -short -exec qemu-s390x-static $(PORTABLE)

.PHONY: lint
lint: ## formatting and staticcheck
	@test -z "$$(gofmt -l .)" || { echo "gofmt wants changes in:"; gofmt -l .; exit 1; }
	go run $(STATICCHECK) -checks all,-ST1003,-ST1005,-ST1023 ./...

.PHONY: race
race: ## the concurrent packages under the race detector (needs a C compiler)
	@command -v $${CC:-gcc} >/dev/null || { echo "the race detector needs a C compiler: install gcc"; exit 1; }
	CGO_ENABLED=1 go test -race -short ./backend/... ./kernels/... ./train/... ./comm/... ./cmd/...

.PHONY: generate
generate: ## run all committed generators
	go generate ./...
	@set -e; for k in $(KERNELS); do echo "kernels/_gen/$$k"; .ci/generate-kernel $$k; done

.PHONY: generated
generated: generate ## generated files are up to date
	@git diff --exit-code --stat || { echo "generated files differ: commit what make generate wrote"; exit 1; }

CUDA     := .tools/cuda
# cgo finds CUDA's header in a toolkit or fetches it, and links against no CUDA library.
CUDA_ENV  = CGO_ENABLED=1 CGO_CFLAGS="-O2 -I$(CURDIR)/backend/cuda/compat -I$$(backend/cuda/header $(CURDIR)/$(CUDA)/include)" \
            CGO_LDFLAGS="-O2 -L$(CURDIR)/backend/cuda/link"

.PHONY: gpu
gpu: ## both commands with CUDA, to bin/ (needs a C compiler; they start without a GPU too)
	$(CUDA_ENV) go build -tags gpu -o bin/ ./cmd/...

.PHONY: gpu-check
gpu-check: ## conformance, exact checks and speeds on this machine's GPU (error 3 without one)
	$(CUDA_ENV) go test -tags gpu -c -o bin/gpu-check ./backend/cuda
	bin/gpu-check -records bin/gpu-check.json

.PHONY: gpu-simulate
gpu-simulate: ## the CUDA backend's tests on a simulated driver (needs g++)
	backend/cuda/sim/build $(CUDA)/sim/libcuda.so.1
	$(CUDA_ENV) KADANOFF_LIBCUDA=$(CURDIR)/$(CUDA)/sim/libcuda.so.1 go test -tags gpu ./backend/cuda

.PHONY: ptx
ptx: ## compile the CUDA kernels to PTX (needs clang-19)
	kernels/cuda/build

.PHONY: release
release: ## archives for linux amd64 and arm64, to dist/ (fetches a C compiler with pip)
	go run ./cmd/internal/release

.PHONY: release-check
release-check: ## a release of this machine's architecture, made twice and looked into
	KADANOFF_TEST_RELEASE=1 go test -count=1 -timeout 30m ./cmd/internal/release

.PHONY: bench
bench: ## checks and speeds of this machine
	go run ./cmd/rbmbench

.PHONY: peers
peers: build ## ours beside what others use (installs numpy, torch, JAX, … to bench/peers; gigabytes)
	python3 bench/peers/install.py
	bin/rbmbench peers

.PHONY: mpi-check
mpi-check: ## processes under Open MPI and MPICH, installed from Debian where possible
	.ci/mpi-check

.PHONY: soak
soak: ## a day of small sweeps, large models, a thousand kills, a hundred killed ranks (long; KADANOFF_SOAK_* in docs/results.md)
	KADANOFF_SOAK=1 go test -count=1 -timeout 60m -v -run Soak ./cmd/kadanoff
	KADANOFF_TEST_KILLS=100 KADANOFF_TEST_RANKS=4 KADANOFF_SOAK_TRAIN_KILLS=$${KADANOFF_SOAK_TRAIN_KILLS:-50} go test -count=1 -timeout 60m -v -run 'MPI|Killed' ./cmd/kadanoff
