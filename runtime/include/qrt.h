/* libqrt: runs extremely compressed neural networks on CPUs.
 *
 * The whole public API. Plain C11, opaque handles, no globals, no init call, no
 * printing. Enums and structs only grow; a struct's first field says how much of
 * it the caller knows: programs of older headers keep working.
 *
 *   qrt_model_open_file   maps, verifies and validates a .qrt file   (any thread)
 *   qrt_session_open      chooses kernels, packs, plans all memory   (may fail)
 *   qrt_session_run       computes; allocates nothing
 *
 * A model is immutable and may be shared between threads; a session belongs to
 * one thread of execution at a time. Sessions keep their model's bytes alive
 * only by contract: close sessions before their model.
 */
#ifndef QRT_H_
#define QRT_H_

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define QRT_API __declspec(dllexport)
#else
#define QRT_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define QRT_VERSION_MAJOR 0
#define QRT_VERSION_MINOR 1
#define QRT_VERSION_PATCH 0

typedef struct qrt_model qrt_model;
typedef struct qrt_session qrt_session;

typedef enum qrt_status {
  QRT_OK = 0,
  QRT_INVALID_ARGUMENT = 1, /* the caller's fault: a null pointer, an index, a size */
  QRT_INVALID_MODEL = 2,    /* the file's fault: corrupted, truncated, foreign, hostile */
  QRT_UNSUPPORTED = 3,      /* a valid request this build or CPU cannot serve */
  QRT_OUT_OF_MEMORY = 4,
  QRT_INTERNAL = 5,
  QRT_IO = 6 /* the file cannot be opened or mapped */
} qrt_status;

typedef enum qrt_dtype {
  QRT_F32 = 0,
  QRT_F16 = 1,
  QRT_I8 = 2,
  QRT_U8 = 3,
  QRT_I32 = 4,
  QRT_I64 = 5,
  QRT_BOOL = 6
} qrt_dtype;

#define QRT_MAX_RANK 6

/* What went wrong, in words. Set struct_size before the call; every call that
 * takes one accepts NULL. Filled only when the call fails. */
typedef struct qrt_error {
  size_t struct_size; /* sizeof(qrt_error) */
  qrt_status status;
  char id[12];       /* stable code, "QRT-E0123"; docs/errors/ lists them */
  char where[116];   /* node, tensor or file at fault; empty if none */
  char message[384]; /* one line: what, where, found vs allowed, what to do */
} qrt_error;

enum {
  QRT_MODE_COMPRESSED = 0, /* compressed weights are used from the file */
  QRT_MODE_DENSE = 1       /* decoded at open into dense f32 layers: the baseline to compare with */
};

enum {
  QRT_PREFER_MEMORY = 0, /* weights stay as they are in the file */
  QRT_PREFER_SPEED = 1   /* layers of integers may keep their weights decoded to int8, where that is
                            predicted to be faster; results stay the same */
};

typedef struct qrt_options {
  size_t struct_size;   /* sizeof(qrt_options) */
  uint32_t threads;     /* 0 means 1: concurrency is opt-in */
  uint32_t batch;       /* 0 means 1; more only where the model's batch is free */
  uint32_t mode;        /* QRT_MODE_... */
  const char* isa;      /* cap for our kernels: "scalar", "avx2", "avx512", "avx512vnni",
                           "avx512vbmi", "neon", "neondot", "i8mm"; NULL: QRT_ISA of the
                           environment, else what the CPU has */
  const char* strategy; /* forces one where a layer allows it: "lookup", "decode", "dot" or
                           "winograd" for codebooks of f32, "decode8", "dense8", "depthwise8",
                           "dot8", "coded_dot", "tables", "winograd8_2x2" or "winograd8_4x4" for
                           layers of integers; NULL: by cost */
  uint64_t max_bytes;   /* refuse before allocating more than this; 0: what the machine has free,
                           or no limit where alloc is set */
  void* (*alloc)(void* user, size_t bytes, size_t align); /* NULL: the C library's */
  void (*release)(void* user, void* p);
  void* user;
  uint32_t prefer;  /* QRT_PREFER_... */
  const char* tune; /* measures the ways to compute each layer of integers while the session opens,
                       keeps the fastest and remembers it in this file; results stay the same.
                       NULL: QRT_TUNE of the environment, else nothing is measured */
} qrt_options;

typedef struct qrt_tensor {
  const char* name;
  void* data; /* NULL in qrt_model_input/output; the session's own buffer otherwise */
  qrt_dtype dtype;
  int32_t rank;
  int32_t dims[QRT_MAX_RANK];
  size_t bytes;
} qrt_tensor;

QRT_API uint32_t qrt_version(void); /* major << 16 | minor << 8 | patch */
QRT_API const char* qrt_status_name(qrt_status);
QRT_API const char* qrt_dtype_name(qrt_dtype);
QRT_API const char* qrt_isa_name(void); /* the highest ISA level of this CPU */

/* Fills *options with defaults. The function knows the fields down to `user` alone, which was all
 * of them once; the macro of its name says how much of the struct this header knows. */
QRT_API void qrt_options_init(qrt_options* options);
QRT_API void qrt_options_init_sized(qrt_options* options, size_t struct_size);
#define qrt_options_init(options) qrt_options_init_sized((options), sizeof(qrt_options))

/* Maps `path` read-only and checks all of it. *out is NULL on failure. */
QRT_API qrt_status qrt_model_open_file(const char* path, const qrt_options*, qrt_model** out,
                                       qrt_error*);

/* Checks all of `data`, at any alignment, and borrows it until qrt_model_close;
 * where it does not start on a 64-byte boundary the model keeps its own copy. */
QRT_API qrt_status qrt_model_open_memory(const void* data, size_t bytes, const qrt_options*,
                                         qrt_model** out, qrt_error*);
QRT_API void qrt_model_close(qrt_model*); /* NULL is fine */

QRT_API uint32_t qrt_model_input_count(const qrt_model*);
QRT_API uint32_t qrt_model_output_count(const qrt_model*);
/* Name, type and shape for batch 1; data is NULL. The name lives as long as the model. */
QRT_API qrt_status qrt_model_input(const qrt_model*, uint32_t index, qrt_tensor* out, qrt_error*);
QRT_API qrt_status qrt_model_output(const qrt_model*, uint32_t index, qrt_tensor* out, qrt_error*);
QRT_API int qrt_model_batch_is_free(const qrt_model*);
QRT_API uint32_t qrt_model_label_count(const qrt_model*);
QRT_API const char* qrt_model_label(const qrt_model*, uint32_t index); /* NULL when out of range */

/* The model must outlive the session. */
QRT_API qrt_status qrt_session_open(const qrt_model*, const qrt_options*, qrt_session** out,
                                    qrt_error*);
QRT_API void qrt_session_close(qrt_session*); /* NULL is fine */
/* What was put aside while the session opened, as a sentence: a tune file of another machine or a
 * damaged one, which is written anew; or a file that is none, which is left alone. "" as a rule. */
QRT_API const char* qrt_session_note(const qrt_session*);

/* The session's own buffers: write inputs before a run, read outputs after it.
 * They stay where they are until the session is closed. */
QRT_API qrt_status qrt_session_input(qrt_session*, uint32_t index, qrt_tensor* out, qrt_error*);
QRT_API qrt_status qrt_session_output(qrt_session*, uint32_t index, qrt_tensor* out, qrt_error*);
QRT_API qrt_status qrt_session_run(qrt_session*, qrt_error*);

/* One row of the profile: what really ran. Strings live as long as the session. */
typedef struct qrt_op_info {
  size_t struct_size;
  const char* name;      /* the source node's */
  const char* kind;      /* "conv2d", "linear", ... */
  const char* kernel;    /* the kernel that runs, e.g. "codebook_decode_avx512" */
  const char* choice;    /* the cost model's figures, "" where there is no choice */
  const char* encoding;  /* of its weights; "" where it has none */
  uint64_t weight_bytes; /* of its weights in the file */
  uint64_t macs;         /* dense multiply-adds of one run */
  double last_ns;        /* of the last profiled run */
} qrt_op_info;

QRT_API uint32_t qrt_session_op_count(const qrt_session*);
QRT_API qrt_status qrt_session_op(const qrt_session*, uint32_t index, qrt_op_info* out, qrt_error*);
/* As qrt_session_run, and times every operator. */
QRT_API qrt_status qrt_session_run_profiled(qrt_session*, qrt_error*);

typedef struct qrt_memory_info {
  size_t struct_size;
  uint64_t file_bytes;   /* of the model, mapped or borrowed */
  uint64_t copied_bytes; /* of the model, copied because it was not aligned */
  uint64_t weight_bytes; /* weights held in another form (packed or decoded) */
  uint64_t arena_bytes;  /* activations and scratch */
  uint64_t keep_bytes;   /* everything else the session and model hold */
} qrt_memory_info;
QRT_API qrt_status qrt_session_memory(const qrt_session*, qrt_memory_info* out, qrt_error*);

/* Runs the golden input stored in the file (batch 1 sessions) and compares.
 * *max_error gets the largest relative error; QRT_UNSUPPORTED when there is none stored. */
QRT_API qrt_status qrt_session_self_check(qrt_session*, double* max_error, double* tolerance,
                                          qrt_error*);

#ifdef __cplusplus
}
#endif

#endif /* QRT_H_ */
