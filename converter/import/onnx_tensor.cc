// TensorProto to floats or integers. Nothing is believed: dims are counted with
// overflow checks, the data must have exactly that many elements, weights must
// be finite.
#include <cmath>
#include <cstring>
#include <limits>

#include "converter/base/half.h"
#include "converter/import/onnx_node.h"
#include "schema/layout.h"

namespace qrt::import {
namespace {

using onnx::TensorProto;

size_t element_bytes(int32_t type) {
  switch (type) {
    case TensorProto::UINT8:
    case TensorProto::INT8:
    case TensorProto::BOOL:
      return 1;
    case TensorProto::UINT16:
    case TensorProto::INT16:
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
      return 2;
    case TensorProto::FLOAT:
    case TensorProto::INT32:
    case TensorProto::UINT32:
      return 4;
    default:
      return 8;
  }
}

// Element `i` of little-endian raw bytes.
template <class T>
T raw(const std::string& bytes, size_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

float float_of(int32_t type, const std::string& bytes, size_t i) {
  switch (type) {
    case TensorProto::FLOAT16:
      return half_to_float(raw<uint16_t>(bytes, i));
    case TensorProto::BFLOAT16:
      return std::bit_cast<float>(static_cast<uint32_t>(raw<uint16_t>(bytes, i)) << 16);
    case TensorProto::DOUBLE:
      return static_cast<float>(raw<double>(bytes, i));
    default:
      return raw<float>(bytes, i);
  }
}

int64_t int_of(int32_t type, const std::string& bytes, size_t i) {
  switch (type) {
    case TensorProto::UINT8:
      return raw<uint8_t>(bytes, i);
    case TensorProto::INT8:
      return raw<int8_t>(bytes, i);
    case TensorProto::BOOL:
      return raw<uint8_t>(bytes, i) != 0;
    case TensorProto::UINT16:
      return raw<uint16_t>(bytes, i);
    case TensorProto::INT16:
      return raw<int16_t>(bytes, i);
    case TensorProto::INT32:
      return raw<int32_t>(bytes, i);
    case TensorProto::UINT32:
      return raw<uint32_t>(bytes, i);
    default:
      return raw<int64_t>(bytes, i);
  }
}

// The typed field that holds a tensor without raw data: which one depends on the type.
size_t typed_length(const TensorProto& proto) {
  switch (proto.data_type()) {
    case TensorProto::FLOAT:
      return proto.float_data_size();
    case TensorProto::DOUBLE:
      return proto.double_data_size();
    case TensorProto::INT64:
      return proto.int64_data_size();
    case TensorProto::UINT32:
    case TensorProto::UINT64:
      return proto.uint64_data_size();
    default:
      return proto.int32_data_size();
  }
}

float typed_float(const TensorProto& proto, int i) {
  switch (proto.data_type()) {
    case TensorProto::FLOAT16:
      return half_to_float(static_cast<uint16_t>(proto.int32_data(i)));
    case TensorProto::BFLOAT16:
      return std::bit_cast<float>(static_cast<uint32_t>(proto.int32_data(i)) << 16);
    case TensorProto::DOUBLE:
      return static_cast<float>(proto.double_data(i));
    default:
      return proto.float_data(i);
  }
}

int64_t typed_int(const TensorProto& proto, int i) {
  switch (proto.data_type()) {
    case TensorProto::INT64:
      return proto.int64_data(i);
    case TensorProto::UINT32:
      return static_cast<uint32_t>(proto.uint64_data(i));
    case TensorProto::UINT64:
      return static_cast<int64_t>(proto.uint64_data(i));
    case TensorProto::UINT8:
      return static_cast<uint8_t>(proto.int32_data(i));
    case TensorProto::INT8:
      return static_cast<int8_t>(proto.int32_data(i));
    case TensorProto::UINT16:
      return static_cast<uint16_t>(proto.int32_data(i));
    case TensorProto::INT16:
      return static_cast<int16_t>(proto.int32_data(i));
    case TensorProto::BOOL:
      return proto.int32_data(i) != 0;
    default:
      return proto.int32_data(i);
  }
}

// Infinities stand for "no limit" in single numbers (the bounds of a Clip); elsewhere they and NaN
// mean a broken model.
float checked(float value, size_t count, size_t i, const std::string& name) {
  if (std::isfinite(value)) return value;
  if (count == 1 && std::isinf(value)) return value < 0 ? ir::kNoMin : ir::kNoMax;
  refuse(509, "tensor ", name, " holds ", value, " at element ", i,
         "; weights must be finite f32; export the model again");
}

// u64 become i64 where they fit: what exporters write as such counts and indexes.
int64_t checked_u64(int64_t value, size_t i, const std::string& name) {
  if (value >= 0) return value;
  refuse(508, "tensor ", name, " of data type uint64 holds ", static_cast<uint64_t>(value),
         " at element ", i, "; integers are allowed up to ", INT64_MAX,
         "; export it as int64 or as float");
}

struct Extent {
  std::vector<int64_t> shape;
  size_t count;
};

Extent extent_of(const TensorProto& proto, const std::string& name) {
  Extent extent{{proto.dims().begin(), proto.dims().end()}, 0};
  const int64_t count = ir::element_count(extent.shape);
  if (count < 0 || extent.shape.size() > static_cast<size_t>(layout::kMaxRank)) {
    refuse(508, "tensor ", name, " has dims ", shape_text(extent.shape), "; allowed are ",
           layout::kMaxRank, " dimensions of 0 or more with at most ", layout::kMaxElements,
           " elements; the file is damaged or hostile");
  }
  extent.count = static_cast<size_t>(count);
  return extent;
}

}  // namespace

eval::Tensor read_tensor(Import& import, const TensorProto& proto, const std::string& name) {
  Extent extent = extent_of(proto, name);
  const int32_t type = proto.data_type();
  const bool is_u64 = type == TensorProto::UINT64;
  const auto element = is_u64 ? ir::ElementType::i64 : ir::element_type_of_onnx(type);
  if (!element || proto.has_segment()) {
    refuse(508, "tensor ", name, " has data type ", type, proto.has_segment() ? " in segments" : "",
           "; known are float, float16, bfloat16, double, bool and integers of 8 to 64 bits, each "
           "in one piece; export the model with such a tensor");
  }
  eval::Tensor tensor{*element, std::move(extent.shape), {}, {}};
  const size_t count = extent.count, bytes = count * element_bytes(type);
  const bool external = proto.data_location() == TensorProto::EXTERNAL;
  const bool has_raw = external || proto.has_raw_data();
  std::string outside;
  if (external) {
    import.spend(name, bytes);
    outside = read_external(import, proto, bytes, name);
  }
  const std::string& data = external ? outside : proto.raw_data();
  const size_t found = has_raw ? data.size() : typed_length(proto);
  const size_t expected = has_raw ? bytes : count;
  if (found != expected) {
    refuse(508, "tensor ", name, " with dims ", shape_text(tensor.shape), " has ", found,
           has_raw ? " bytes" : " elements", " of data; expected ", expected,
           "; the file is damaged: export or copy it again");
  }
  const bool floats = ir::is_float(*element);
  import.spend(name, count * (floats ? 4 : 8));
  if (floats) {
    tensor.data.resize(count);
    for (size_t i = 0; i < count; ++i) {
      const float value =
          has_raw ? float_of(type, data, i) : typed_float(proto, static_cast<int>(i));
      tensor.data[i] = checked(value, count, i, name);
    }
  } else {
    tensor.ints.resize(count);
    for (size_t i = 0; i < count; ++i) {
      tensor.ints[i] = has_raw ? int_of(type, data, i) : typed_int(proto, static_cast<int>(i));
      if (is_u64) tensor.ints[i] = checked_u64(tensor.ints[i], i, name);
    }
  }
  return tensor;
}

}  // namespace qrt::import
