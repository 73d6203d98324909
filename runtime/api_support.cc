#include "runtime/api_support.h"

#include <cstdio>
#include <cstring>

#include "runtime/base/message.h"

namespace qrt {
namespace {

// "conv1", "tensor x", "buffer 3": by name where one is known, else by number.
void name_place(const Status& s, const Model* m, char* out, size_t room) {
  out[0] = 0;
  const auto i = static_cast<size_t>(s.index());
  const auto named = [&](const char* kind, const char* name) {
    if (name != nullptr && name[0] != 0) {
      std::snprintf(out, room, "%s%.80s", kind, name);
    } else {
      std::snprintf(out, room, "%s%zu", kind[0] != 0 ? kind : "operator ", i);
    }
  };
  const auto name_in = [&](auto span) { return i < span.size() ? span[i].name : nullptr; };
  static const Model kNone;
  if (m == nullptr) m = &kNone;
  switch (s.where()) {
    case Where::nothing:
      return;
    case Where::op:
      return named("", name_in(m->nodes));
    case Where::tensor:
      return named("tensor ", name_in(m->tensors));
    case Where::weights:
      return named("weights ", name_in(m->weights));
    case Where::buffer:
      return named("buffer ", nullptr);
    case Where::input:
      return named("input ", name_in(m->inputs));
    case Where::output:
      return named("output ", name_in(m->outputs));
    case Where::byte:
      return named("byte ", nullptr);
  }
}

// Words and numbers that name nothing.
Status check_values(const qrt_options& o) {
  QRT_REQUIRE((o.alloc == nullptr) == (o.release == nullptr), Code::invalid_argument, 23,
              "one of alloc and release is set, the other is not");
  if (o.mode > QRT_MODE_DENSE) {
    return Status(Code::invalid_argument, 14, "the option mode is unknown")
        .at_most(o.mode, QRT_MODE_DENSE)
        .next("use QRT_MODE_COMPRESSED or QRT_MODE_DENSE");
  }
  if (o.prefer > QRT_PREFER_SPEED) {
    return Status(Code::invalid_argument, 18, "the option prefer is unknown")
        .at_most(o.prefer, QRT_PREFER_SPEED)
        .next("use QRT_PREFER_MEMORY or QRT_PREFER_SPEED");
  }
  constexpr const char* kStrategies[] = {"lookup",     "decode", "dot",           "winograd",
                                         "decode8",    "dense8", "dot8",          "coded_dot",
                                         "depthwise8", "tables", "winograd8_2x2", "winograd8_4x4"};
  bool known = o.strategy == nullptr;
  for (const char* name : kStrategies) known = known || std::strcmp(o.strategy, name) == 0;
  if (!known) {
    return Status(Code::invalid_argument, 11, "the option strategy names no strategy")
        .next("use one of those in qrt.h, or leave it NULL");
  }
  return {};
}

}  // namespace

Status null_argument(const char* what) {
  return Status(Code::invalid_argument, 20, what).next("pass a pointer that is not NULL");
}

qrt_status fail(const Status& s, const Model* m, const char* file, qrt_error* error) {
  const auto code = static_cast<qrt_status>(s.code());
  if (error == nullptr || error->struct_size < sizeof(qrt_error)) return code;
  error->status = code;
  write_id(s, error->id, sizeof error->id);
  name_place(s, m, error->where, sizeof error->where);
  write_message(s, file, error->where, error->message, sizeof error->message);
  if (error->where[0] == 0) std::snprintf(error->where, sizeof error->where, "%s", file);
  return code;
}

qrt_status fail(const Status& s, qrt_error* error) {
  return fail(s, nullptr, "", error);
}

Status explain(const Status& s, const Budget& budget) {
  if (s.code() != Code::out_of_memory) return s;
  if (budget.refused()) {
    return Status(Code::out_of_memory, 3, "the memory limit does not suffice")
        .at(s.where(), s.index())
        .at_most(static_cast<int64_t>(budget.wanted()), static_cast<int64_t>(budget.limit()))
        .next("raise max_bytes or free memory, or use a smaller batch or model");
  }
  return s.hint()[0] != 0 ? s : s.next("free memory, or use a smaller batch or model");
}

Status read_options(const qrt_options* given, qrt_options* out) {
  qrt_options_init(out);
  if (given == nullptr) return {};
  const size_t size = given->struct_size;
  if (size < kFirstOptions) {
    return Status(Code::invalid_argument, 21, "the options' struct_size is too small")
        .at_least(static_cast<int64_t>(size), kFirstOptions)
        .next("call qrt_options_init first");
  }
  if (size > 4096) {
    return Status(Code::invalid_argument, 21, "the options' struct_size is not a size")
        .at_most(static_cast<int64_t>(size), 4096)
        .next("call qrt_options_init first");
  }
  const auto* raw = reinterpret_cast<const unsigned char*>(given);
  for (size_t i = sizeof(qrt_options); i < size; ++i) {
    if (raw[i] != 0) {
      return Status(Code::unsupported, 22, "an option of a newer header is set")
          .next("update libqrt, or leave that option zero");
    }
  }
  // The first header's struct may have ended in padding, where a later field lies now.
  constexpr size_t kAlign = alignof(qrt_options);
  const bool is_first = size <= (kFirstOptions + kAlign - 1) / kAlign * kAlign;
  const size_t known = is_first ? kFirstOptions : size < sizeof *out ? size : sizeof *out;
  std::memcpy(static_cast<void*>(out), given, known);
  out->struct_size = sizeof(qrt_options);
  return check_values(*out);
}

uint64_t limit_of(const qrt_options& o) {
  if (o.max_bytes != 0) return o.max_bytes;
  return o.alloc == nullptr ? available_memory() : UINT64_MAX;  // an allocator knows its own end
}

Allocator allocator_of(const qrt_options& o) {
  if (o.alloc == nullptr) return default_allocator();
  return {o.alloc, o.release, o.user};
}

}  // namespace qrt
