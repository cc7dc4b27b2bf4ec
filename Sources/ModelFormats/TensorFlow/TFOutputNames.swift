import TensorModule

/// The names of output arguments, which operands inside functions use: `TopKV2:indices:0`.
enum TFOutputNames {
  /// Ops with several output arguments, none of which is a list unless it is the last.
  private static let names: [String: [String]] = [
    "FusedBatchNorm": ["y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"],
    "FusedBatchNormV2": ["y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2"],
    "FusedBatchNormV3": ["y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2", "reserve_space_3"],
    "TopK": ["values", "indices"], "TopKV2": ["values", "indices"], "Unique": ["y", "idx"], "UniqueV2": ["y", "idx"],
    "UniqueWithCounts": ["y", "idx", "count"], "UniqueWithCountsV2": ["y", "idx", "count"], "ListDiff": ["out", "idx"],
    "Switch": ["output_false", "output_true"], "RefSwitch": ["output_false", "output_true"],
    "Merge": ["output", "value_index"], "RefMerge": ["output", "value_index"],
    "MaxPoolWithArgmax": ["output", "argmax"], "NonMaxSuppressionV4": ["selected_indices", "valid_outputs"],
    "NonMaxSuppressionV5": ["selected_indices", "selected_scores", "valid_outputs"],
    "CombinedNonMaxSuppression": ["nmsed_boxes", "nmsed_scores", "nmsed_classes", "valid_detections"],
    "LSTMBlockCell": ["i", "cs", "f", "o", "ci", "co", "h"], "BlockLSTM": ["i", "cs", "f", "o", "ci", "co", "h"],
    "BlockLSTMV2": ["i", "cs", "f", "o", "ci", "co", "h"], "GRUBlockCell": ["r", "u", "c", "h"],
    "TensorArrayV3": ["handle", "flow"], "TensorArrayV2": ["handle", "flow"],
    "TensorArrayConcatV3": ["value", "lengths"], "TensorListPopBack": ["output_handle", "tensor"],
    "TensorListConcat": ["tensor", "lengths"], "TensorListConcatV2": ["tensor", "lengths"], "Svd": ["s", "u", "v"],
    "Qr": ["q", "r"], "SelfAdjointEigV2": ["e", "v"], "Lu": ["lu", "p"],
    "LogMatrixDeterminant": ["sign", "log_abs_determinant"], "BroadcastGradientArgs": ["r0", "r1"],
    "StringSplit": ["indices", "values", "shape"], "StringSplitV2": ["indices", "values", "shape"],
    "StringNGrams": ["ngrams", "ngrams_splits"], "SparseReshape": ["output_indices", "output_shape"],
    "SparseFillEmptyRows": ["output_indices", "output_values", "empty_row_indicator", "reverse_index_map"],
    "SparseSlice": ["output_indices", "output_values", "output_shape"],
    "SparseConcat": ["output_indices", "output_values", "output_shape"], "SparseReorder": ["output_indices", "output_values"],
    "CudnnRNN": ["output", "output_h", "output_c", "reserve_space"],
    "CudnnRNNV2": ["output", "output_h", "output_c", "reserve_space", "host_reserved"],
    "CudnnRNNV3": ["output", "output_h", "output_c", "reserve_space", "host_reserved"],
    "QuantizeV2": ["output", "output_min", "output_max"],
    "CTCGreedyDecoder": ["decoded_indices", "decoded_values", "decoded_shape", "log_probability"],
    "LookupTableExport": ["keys", "values"], "LookupTableExportV2": ["keys", "values"],
    "QuantizedConv2D": ["output", "min_output", "max_output"], "QuantizedMatMul": ["out", "min_out", "max_out"],
    "QuantizedRelu": ["activations", "min_activations", "max_activations"],
    "QuantizedMaxPool": ["output", "min_output", "max_output"], "QuantizedAvgPool": ["output", "min_output", "max_output"],
    "Requantize": ["output", "output_min", "output_max"], "RequantizationRange": ["output_min", "output_max"],
    "QuantizeDownAndShrinkRange": ["output", "output_min", "output_max"],
    "QuantizedBiasAdd": ["output", "min_out", "max_out"], "QuantizedReshape": ["output", "output_min", "output_max"],
    "QuantizedConcat": ["output", "output_min", "output_max"], "QuantizedAdd": ["z", "min_z", "max_z"],
    "QuantizedMul": ["z", "min_z", "max_z"], "StatelessRandomGetKeyCounter": ["key", "counter"],
    "RaggedRange": ["rt_nested_splits", "rt_dense_values"],
    "RaggedTensorToSparse": ["sparse_indices", "sparse_values", "sparse_dense_shape"],
    "UnicodeDecode": ["row_splits", "char_values"],
    "UnicodeDecodeWithOffsets": ["row_splits", "char_values", "char_to_byte_starts"], "DecodeWav": ["audio", "sample_rate"],
    "FractionalMaxPool": ["output", "row_pooling_sequence", "col_pooling_sequence"],
  ]

  /// The results of parsing Examples; an attribute that lists dtypes is as long as the results.
  private static let parsed: [(name: String, count: String?)] = [
    ("sparse_indices", "sparse_types"), ("sparse_values", "sparse_types"), ("sparse_shapes", "sparse_types"), ("dense_values", "Tdense"),
    ("ragged_values", "ragged_value_types"), ("ragged_row_splits", "ragged_split_types"),
  ]

  /// Ops whose output arguments are lists, with the attribute that says how long each is.
  private static let lists: [String: [(name: String, count: String?)]] = [
    "ParseExample": parsed, "ParseExampleV2": parsed, "ParseSingleExample": parsed,
    "RaggedGather": [("output_nested_splits", "OUTPUT_RAGGED_RANK"), ("output_dense_values", nil)],
    "SparseSplit": [("output_indices", "num_split"), ("output_values", "num_split"), ("output_shape", "num_split")],
  ]

  /// The output's number, or nil when the op has no such argument. An op that is not listed has one output argument.
  static func index(_ node: TFNode, _ argument: String, _ offset: Int) -> Int? {
    if let arguments = lists[node.op] {
      var start = 0
      for (name, count) in arguments {
        if name == argument { return start + offset }
        guard let count else { start += 1; continue }
        switch node.attributes[count] {
        case .int(let length)? where (0...1 << 16).contains(length): start += length
        case .list(let items)?: start += items.count
        case nil where parsed.contains(where: { $0.count == count }): break
        default: return nil
        }
      }
      return nil
    }
    guard let names = names[node.op] else { return offset }
    return names.firstIndex(of: argument).map { $0 + offset }
  }
}
