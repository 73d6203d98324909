// Builds small ONNX models for tests through the protobuf classes and saves them
// under the build folder. What it builds may be as wrong as a test wants.
#ifndef QRT_TESTS_SUPPORT_ONNX_BUILDER_H_
#define QRT_TESTS_SUPPORT_ONNX_BUILDER_H_

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

namespace qrt::test {

inline void set(onnx::NodeProto& node, const char* key, int64_t value) {
  auto* attribute = node.add_attribute();
  attribute->set_name(key);
  attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(value);
}
inline void set(onnx::NodeProto& node, const char* key, int value) {
  set(node, key, int64_t{value});
}
inline void set(onnx::NodeProto& node, const char* key, float value) {
  auto* attribute = node.add_attribute();
  attribute->set_name(key);
  attribute->set_type(onnx::AttributeProto::FLOAT);
  attribute->set_f(value);
}
inline void set(onnx::NodeProto& node, const char* key, const char* value) {
  auto* attribute = node.add_attribute();
  attribute->set_name(key);
  attribute->set_type(onnx::AttributeProto::STRING);
  attribute->set_s(value);
}
inline void set(onnx::NodeProto& node, const char* key, const std::vector<int64_t>& values) {
  auto* attribute = node.add_attribute();
  attribute->set_name(key);
  attribute->set_type(onnx::AttributeProto::INTS);
  for (int64_t value : values) attribute->add_ints(value);
}

class OnnxBuilder {
 public:
  onnx::ModelProto model;

  explicit OnnxBuilder(int64_t opset = 13) {
    model.set_ir_version(7);
    model.add_opset_import()->set_version(opset);
    graph().set_name("test");
  }
  onnx::GraphProto& graph() { return *model.mutable_graph(); }

  // A float input; a negative dimension is a free one named after its place.
  onnx::ValueInfoProto& input(const std::string& name, const std::vector<int64_t>& dims,
                              int32_t type = onnx::TensorProto::FLOAT) {
    auto* value = graph().add_input();
    value->set_name(name);
    auto* tensor = value->mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    tensor->mutable_shape();
    for (int64_t dim : dims) {
      auto* added = tensor->mutable_shape()->add_dim();
      if (dim < 0) {
        added->set_dim_param("free");
      } else {
        added->set_dim_value(dim);
      }
    }
    return *value;
  }
  onnx::TensorProto& floats(const std::string& name, const std::vector<int64_t>& dims,
                            const std::vector<float>& data) {
    auto* tensor = graph().add_initializer();
    fill(*tensor, name, dims, onnx::TensorProto::FLOAT);
    for (float value : data) tensor->add_float_data(value);
    return *tensor;
  }
  onnx::TensorProto& ints(const std::string& name, const std::vector<int64_t>& dims,
                          const std::vector<int64_t>& data) {
    auto* tensor = graph().add_initializer();
    fill(*tensor, name, dims, onnx::TensorProto::INT64);
    for (int64_t value : data) tensor->add_int64_data(value);
    return *tensor;
  }
  onnx::TensorProto& raw(const std::string& name, const std::vector<int64_t>& dims, int32_t type,
                         const std::string& bytes) {
    auto* tensor = graph().add_initializer();
    fill(*tensor, name, dims, type);
    tensor->set_raw_data(bytes);
    return *tensor;
  }
  onnx::NodeProto& node(const std::string& op, const std::vector<std::string>& inputs,
                        const std::string& output, const std::string& name = "") {
    auto* added = graph().add_node();
    added->set_op_type(op);
    added->set_name(name.empty() ? output : name);
    for (const auto& in : inputs) added->add_input(in);
    added->add_output(output);
    return *added;
  }
  void output(const std::string& name) { graph().add_output()->set_name(name); }

  std::string save(const std::string& name = "test.onnx") const {
    return write(name, model.SerializeAsString());
  }
  static std::string write(const std::string& name, const std::string& bytes) {
    const std::string path = std::string(QRT_BINARY_DIR) + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

 private:
  static void fill(onnx::TensorProto& tensor, const std::string& name,
                   const std::vector<int64_t>& dims, int32_t type) {
    tensor.set_name(name);
    tensor.set_data_type(type);
    for (int64_t dim : dims) tensor.add_dims(dim);
  }
};

}  // namespace qrt::test

#endif  // QRT_TESTS_SUPPORT_ONNX_BUILDER_H_
