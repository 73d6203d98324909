// The walk is driven by a list of what each table refers to. A field missing from
// the list would leave its bytes unaccounted for and the file refused: the tests'
// model that sets every field keeps the list complete.
#include "runtime/model/coverage.h"

#include <algorithm>

namespace qrt {
namespace {

// Between two objects: padding to a 64-byte boundary plus the length in front of a vector.
constexpr uint32_t kLargestGap = 72;

enum class Refers : uint8_t { table, tables, text, texts, bytes1, bytes2, bytes4 };
struct Type;
struct Field {
  flatbuffers::voffset_t at;
  Refers refers;
  const Type* type;  // of table and tables
};
struct Type {
  const Field* fields;
  size_t count;
};
template <size_t N>
constexpr Type type_of(const Field (&fields)[N]) {
  return {fields, N};
}

constexpr Type kLeaf = {nullptr, 0};
constexpr Field kBufferFields[] = {{fb::Buffer::VT_DATA, Refers::bytes1, nullptr}};
constexpr Type kBuffer = type_of(kBufferFields);
constexpr Field kScalesFields[] = {{fb::Scales::VT_VALUES, Refers::table, &kLeaf}};
constexpr Type kScales = type_of(kScalesFields);
constexpr Field kDenseFields[] = {{fb::Dense::VT_SCALES, Refers::table, &kScales}};
constexpr Type kDense = type_of(kDenseFields);
constexpr Field kCodebookFields[] = {{fb::Codebook::VT_ENTRY_SCALES, Refers::table, &kLeaf},
                                     {fb::Codebook::VT_LEVELS, Refers::table, &kLeaf}};
constexpr Type kCodebook = type_of(kCodebookFields);
constexpr Field kCodeTableFields[] = {{fb::CodeTable::VT_VALUES, Refers::table, &kLeaf},
                                      {fb::CodeTable::VT_SCALES, Refers::table, &kScales},
                                      {fb::CodeTable::VT_OFFSET, Refers::table, &kLeaf}};
constexpr Type kCodeTable = type_of(kCodeTableFields);
constexpr Field kAffineFields[] = {{fb::Affine::VT_ZERO_HALVES, Refers::bytes2, nullptr},
                                   {fb::Affine::VT_SCALES, Refers::table, &kScales}};
constexpr Type kAffine = type_of(kAffineFields);
constexpr Field kBitPlanesFields[] = {{fb::BitPlanes::VT_ALPHAS, Refers::table, &kLeaf}};
constexpr Type kBitPlanes = type_of(kBitPlanesFields);
constexpr Field kWeightsFields[] = {{fb::Weights::VT_NAME, Refers::text, nullptr},
                                    {fb::Weights::VT_DENSE, Refers::table, &kDense},
                                    {fb::Weights::VT_CODEBOOK, Refers::table, &kCodebook},
                                    {fb::Weights::VT_TABLE, Refers::table, &kCodeTable},
                                    {fb::Weights::VT_AFFINE, Refers::table, &kAffine},
                                    {fb::Weights::VT_BIT_PLANES, Refers::table, &kBitPlanes}};
constexpr Type kWeights = type_of(kWeightsFields);
constexpr Field kFeaturesFields[] = {{fb::FeatureBuckets::VT_BOUNDS, Refers::bytes4, nullptr},
                                     {fb::FeatureBuckets::VT_BITS, Refers::bytes1, nullptr},
                                     {fb::FeatureBuckets::VT_LO, Refers::bytes4, nullptr},
                                     {fb::FeatureBuckets::VT_STEP, Refers::bytes4, nullptr}};
constexpr Type kFeatures = type_of(kFeaturesFields);
constexpr Field kTensorFields[] = {{fb::Tensor::VT_NAME, Refers::text, nullptr},
                                   {fb::Tensor::VT_DIMS, Refers::bytes4, nullptr},
                                   {fb::Tensor::VT_FEATURES, Refers::table, &kFeatures}};
constexpr Type kTensor = type_of(kTensorFields);
constexpr Field kEpilogueFields[] = {{fb::Epilogue::VT_SCALE, Refers::table, &kLeaf},
                                     {fb::Epilogue::VT_BIAS, Refers::table, &kLeaf}};
constexpr Type kEpilogue = type_of(kEpilogueFields);
constexpr Field kConv2dFields[] = {{fb::Conv2d::VT_EPILOGUE, Refers::table, &kEpilogue}};
constexpr Type kConv2d = type_of(kConv2dFields);
constexpr Field kConvTransposeFields[] = {
    {fb::ConvTranspose::VT_EPILOGUE, Refers::table, &kEpilogue}};
constexpr Type kConvTranspose = type_of(kConvTransposeFields);
constexpr Field kLinearFields[] = {{fb::Linear::VT_EPILOGUE, Refers::table, &kEpilogue}};
constexpr Type kLinear = type_of(kLinearFields);
constexpr Field kAffine1Fields[] = {{fb::Affine1::VT_SCALE, Refers::table, &kLeaf},
                                    {fb::Affine1::VT_BIAS, Refers::table, &kLeaf}};
constexpr Type kAffine1 = type_of(kAffine1Fields);
constexpr Field kTransposeFields[] = {{fb::Transpose::VT_PERM, Refers::bytes4, nullptr}};
constexpr Type kTranspose = type_of(kTransposeFields);
constexpr Field kPadFields[] = {{fb::Pad::VT_BEFORE, Refers::bytes4, nullptr},
                                {fb::Pad::VT_AFTER, Refers::bytes4, nullptr}};
constexpr Type kPad = type_of(kPadFields);
constexpr Field kSliceFields[] = {{fb::Slice::VT_START, Refers::bytes4, nullptr},
                                  {fb::Slice::VT_STEP, Refers::bytes4, nullptr},
                                  {fb::Slice::VT_SIZE, Refers::bytes4, nullptr}};
constexpr Type kSlice = type_of(kSliceFields);
constexpr Field kResizeFields[] = {{fb::Resize::VT_SIZE, Refers::bytes4, nullptr},
                                   {fb::Resize::VT_SCALE, Refers::bytes4, nullptr},
                                   {fb::Resize::VT_ROI, Refers::bytes4, nullptr}};
constexpr Type kResize = type_of(kResizeFields);
constexpr Field kTileFields[] = {{fb::Tile::VT_REPEATS, Refers::bytes4, nullptr}};
constexpr Type kTile = type_of(kTileFields);
constexpr Field kReduceFields[] = {{fb::Reduce::VT_AXES, Refers::bytes4, nullptr}};
constexpr Type kReduce = type_of(kReduceFields);
constexpr Field kFakeQuantizeFields[] = {{fb::FakeQuantize::VT_SCALE, Refers::table, &kLeaf},
                                         {fb::FakeQuantize::VT_ZERO, Refers::table, &kLeaf}};
constexpr Type kFakeQuantize = type_of(kFakeQuantizeFields);
constexpr Field kStepsFields[] = {{fb::Steps::VT_THRESHOLDS, Refers::table, &kLeaf}};
constexpr Type kSteps = type_of(kStepsFields);
constexpr Field kOperatorFields[] = {
    {fb::Operator::VT_NAME, Refers::text, nullptr},
    {fb::Operator::VT_INPUTS, Refers::bytes4, nullptr},
    {fb::Operator::VT_OUTPUTS, Refers::bytes4, nullptr},
    {fb::Operator::VT_CONV2D, Refers::table, &kConv2d},
    {fb::Operator::VT_LINEAR, Refers::table, &kLinear},
    {fb::Operator::VT_POOL2D, Refers::table, &kLeaf},
    {fb::Operator::VT_BINARY, Refers::table, &kLeaf},
    {fb::Operator::VT_UNARY, Refers::table, &kLeaf},
    {fb::Operator::VT_AFFINE, Refers::table, &kAffine1},
    {fb::Operator::VT_SOFTMAX, Refers::table, &kLeaf},
    {fb::Operator::VT_CONCAT, Refers::table, &kLeaf},
    {fb::Operator::VT_TRANSPOSE, Refers::table, &kTranspose},
    {fb::Operator::VT_PAD, Refers::table, &kPad},
    {fb::Operator::VT_SLICE, Refers::table, &kSlice},
    {fb::Operator::VT_RESIZE, Refers::table, &kResize},
    {fb::Operator::VT_GATHER, Refers::table, &kLeaf},
    {fb::Operator::VT_TILE, Refers::table, &kTile},
    {fb::Operator::VT_CONV_TRANSPOSE, Refers::table, &kConvTranspose},
    {fb::Operator::VT_REDUCE, Refers::table, &kReduce},
    {fb::Operator::VT_ARG_REDUCE, Refers::table, &kLeaf},
    {fb::Operator::VT_TOP_K, Refers::table, &kLeaf},
    {fb::Operator::VT_FAKE_QUANTIZE, Refers::table, &kFakeQuantize},
    {fb::Operator::VT_STEPS, Refers::table, &kSteps}};
constexpr Type kOperator = type_of(kOperatorFields);
constexpr Field kPreprocessFields[] = {{fb::Preprocess::VT_MEAN, Refers::bytes4, nullptr},
                                       {fb::Preprocess::VT_STD, Refers::bytes4, nullptr}};
constexpr Type kPreprocess = type_of(kPreprocessFields);
constexpr Field kPortFields[] = {{fb::Port::VT_NAME, Refers::text, nullptr},
                                 {fb::Port::VT_PREPROCESS, Refers::table, &kPreprocess}};
constexpr Type kPort = type_of(kPortFields);
constexpr Field kProvenanceFields[] = {{fb::Provenance::VT_TOOL, Refers::text, nullptr},
                                       {fb::Provenance::VT_SOURCE_SHA256, Refers::text, nullptr},
                                       {fb::Provenance::VT_WEIGHTS_SHA256, Refers::text, nullptr},
                                       {fb::Provenance::VT_METHOD, Refers::text, nullptr},
                                       {fb::Provenance::VT_OPTIONS, Refers::text, nullptr}};
constexpr Type kProvenance = type_of(kProvenanceFields);
constexpr Field kGoldenFields[] = {{fb::Golden::VT_INPUTS, Refers::bytes4, nullptr},
                                   {fb::Golden::VT_OUTPUTS, Refers::bytes4, nullptr}};
constexpr Type kGolden = type_of(kGoldenFields);
constexpr Field kModelFields[] = {{fb::Model::VT_NAME, Refers::text, nullptr},
                                  {fb::Model::VT_TENSORS, Refers::tables, &kTensor},
                                  {fb::Model::VT_OPERATORS, Refers::tables, &kOperator},
                                  {fb::Model::VT_WEIGHTS, Refers::tables, &kWeights},
                                  {fb::Model::VT_BUFFERS, Refers::tables, &kBuffer},
                                  {fb::Model::VT_INPUTS, Refers::tables, &kPort},
                                  {fb::Model::VT_OUTPUTS, Refers::tables, &kPort},
                                  {fb::Model::VT_LABELS, Refers::texts, nullptr},
                                  {fb::Model::VT_GOLDEN, Refers::table, &kGolden},
                                  {fb::Model::VT_PROVENANCE, Refers::table, &kProvenance}};
constexpr Type kModel = type_of(kModelFields);

// [begin, end) of one object; files are below 2^31 bytes.
struct Extent {
  uint32_t begin;
  uint32_t end : 31, may_share : 1;  // vtables and strings, which writers store once
};
bool shared(const Extent& a, const Extent& b) {
  return a.begin == b.begin && a.end == b.end && a.may_share && b.may_share;
}

// Walks twice: first counting, then with room for as many.
class Walk {
 public:
  Walk(Bytes file, Span<Extent> room) : file_(file), room_(room) {}
  size_t count() const { return count_; }

  void add(const void* begin, size_t bytes, bool may_share = false) {
    if (count_ < room_.size()) {
      const auto at = static_cast<uint32_t>(static_cast<const uint8_t*>(begin) - file_.data());
      Extent& e = room_[count_];
      e.begin = at;
      e.end = (at + static_cast<uint32_t>(bytes)) & 0x7fffffffu;
      e.may_share = may_share;
    }
    ++count_;
  }

  void table(const flatbuffers::Table& t, const Type& type) {
    const uint8_t* vtable = t.GetVTable();
    add(vtable, flatbuffers::ReadScalar<flatbuffers::voffset_t>(vtable), true);
    add(&t, flatbuffers::ReadScalar<flatbuffers::voffset_t>(vtable + 2));
    for (size_t i = 0; i < type.count; ++i) {
      const Field& f = type.fields[i];
      const void* target = t.GetPointer<const void*>(f.at);
      if (target != nullptr) follow(f, target);
    }
  }

 private:
  template <class T>
  void vector(const void* target) {
    const auto& v = *static_cast<const flatbuffers::Vector<T>*>(target);
    add(target, sizeof(uint32_t) + size_t{v.size()} * sizeof(T));
  }

  void follow(const Field& f, const void* target) {
    switch (f.refers) {
      case Refers::table:
        return table(*static_cast<const flatbuffers::Table*>(target), *f.type);
      case Refers::tables: {
        vector<uint32_t>(target);
        using Tables = flatbuffers::Vector<flatbuffers::Offset<flatbuffers::Table>>;
        for (const flatbuffers::Table* t : *static_cast<const Tables*>(target)) table(*t, *f.type);
        return;
      }
      case Refers::text:
        return text(*static_cast<const flatbuffers::String*>(target));
      case Refers::texts: {
        vector<uint32_t>(target);
        using Texts = flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>;
        for (const flatbuffers::String* s : *static_cast<const Texts*>(target)) text(*s);
        return;
      }
      case Refers::bytes1:
        return vector<uint8_t>(target);
      case Refers::bytes2:
        return vector<uint16_t>(target);
      case Refers::bytes4:
        return vector<uint32_t>(target);
    }
  }

  void text(const flatbuffers::String& s) { add(&s, sizeof(uint32_t) + s.size() + 1, true); }

  Bytes file_;
  Span<Extent> room_;
  size_t count_ = 0;
};

}  // namespace

Status check_coverage(const fb::Model& root, Bytes file, const Allocator& allocator) {
  const auto& table = reinterpret_cast<const flatbuffers::Table&>(root);
  Walk counting(file, {});
  counting.table(table, kModel);
  Arena scratch(allocator);
  const Span<Extent> extents = scratch.array<Extent>(counting.count() + 1);
  if (extents.data() == nullptr) return Status(Code::out_of_memory, 1, "out of memory");
  Walk walk(file, extents);
  walk.add(file.data(), 8);  // the root's offset and "QRT1"
  walk.table(table, kModel);
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  uint32_t end = 0;
  const auto gap_is_clean = [&](uint32_t next) {
    if (next - end > kLargestGap) return false;
    uint8_t any = 0;
    for (uint32_t i = end; i < next; ++i) any |= file[i];
    return any == 0;
  };
  const Status hole =
      Status(Code::invalid_model, 108, "the file holds bytes that belong to nothing");
  for (size_t i = 0; i < extents.size(); ++i) {
    const Extent& e = extents[i];
    if (i > 0 && shared(e, extents[i - 1])) continue;
    if (e.begin < end)
      return Status(Code::invalid_model, 108, "two parts of the file overlap")
          .at(Where::byte, e.begin);
    if (!gap_is_clean(e.begin)) return hole.at(Where::byte, end);
    end = e.end;
  }
  return gap_is_clean(static_cast<uint32_t>(file.size())) ? Status() : hole.at(Where::byte, end);
}

}  // namespace qrt
