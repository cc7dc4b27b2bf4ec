import GraphModule
import TensorModule

/// How each op of the graph is written as ONNX, or why it is not.
enum ONNXWriterCatalog {
  typealias Writer = @Sendable (ONNXNodeWriter) throws -> Void

  enum Fate: Sendable {
    /// The ops of ONNX that it becomes, for the table, and the writer.
    case written(String, Writer)
    case refused(String)
  }

  struct Row: Sendable {
    var op: String
    var fate: Fate

    static func written<Op: OpDefinition>(_: Op.Type, _ ops: String, _ write: @escaping @Sendable (Op, ONNXNodeWriter) throws -> Void) -> Row {
      Row(
        op: Op.name,
        fate: .written(ops) { writer in
          guard let op = writer.node.op as? Op else { throw KilnError(.internal, "op '\(Op.name)' is of another type") }
          try write(op, writer)
        })
    }

    static func refused(_ op: any OpDefinition.Type, _ reason: String) -> Row { Row(op: op.name, fate: .refused(reason)) }
  }

  static let rows: [Row] = elementwise + movement + windows + products + reductions + indexing + sizes + recurrent + control + strings + refusals

  private static let byName = Dictionary(rows.map { ($0.op, $0.fate) }, uniquingKeysWith: { first, _ in first })

  static func write(_ writer: ONNXNodeWriter) throws {
    let op = writer.node.op.opName
    switch byName[op] {
    case .written(_, let write): try write(writer)
    case .refused(let reason): throw KilnError(.unsupportedModel, "op '\(op)' is not written: \(reason)")
    case nil: throw KilnError(.unsupportedModel, "op '\(op)' is not written")
    }
  }

  private static let training = "only training has it"

  /// Ops without a counterpart.
  private static let refusals: [Row] = [
    .refused(Base64Coding.self, "ONNX has no base64"), .refused(Bitcast.self, "operator set 20 has no BitCast"),
    .refused(Cholesky.self, "ONNX has no matrix decompositions"), .refused(LU.self, "ONNX has no matrix decompositions"),
    .refused(QR.self, "ONNX has no matrix decompositions"), .refused(SingularValues.self, "ONNX has no matrix decompositions"),
    .refused(SymmetricEigen.self, "ONNX has no matrix decompositions"), .refused(TriangularSolve.self, "ONNX solves no systems of equations"),
    .refused(CombinedNonMaxSuppression.self, "its picks over classes have no counterpart"),
    .refused(DecodeCSV.self, "ONNX reads no CSV"), .refused(DecodePicture.self, "onnxruntime has no ImageDecoder"),
    .refused(DecodeRaw.self, "ONNX does not read bytes of strings"), .refused(DecodeWav.self, "ONNX reads no WAV files"),
    .refused(ParseExample.self, "ONNX does not parse tf.Example"), .refused(HashCross.self, "ONNX hashes no strings"),
    .refused(StringToHashBucket.self, "ONNX hashes no strings"), .refused(RaggedNGrams.self, "ONNX has no n-grams of strings as strings"),
    .refused(StringNGrams.self, "ONNX has no n-grams of strings as strings"), .refused(TokenCounts.self, "ONNX does not tokenize as it does"),
    .refused(RegexReplace.self, "ONNX replaces nothing in strings"), .refused(SegmentJoin.self, "ONNX joins no segments of strings"),
    .refused(StringLength.self, "ONNX does not measure strings"), .refused(StringSlice.self, "ONNX cuts no strings"),
    .refused(StringParts.self, "ONNX has no ragged results of a split"), .refused(UnicodeDecode.self, "ONNX does not decode strings"),
    .refused(UnicodeEncode.self, "ONNX does not encode strings"), .refused(UnicodeTranscode.self, "ONNX does not encode strings"),
    .refused(ConvKernelGradient.self, training), .refused(PoolGradient.self, training), .refused(RNNGradient.self, training),
    .refused(Noise.self, training), .refused(RandomNumbers.self, training), .refused(After.self, training),
    .refused(SpecialFunction.self, "ONNX has no special functions"),
  ]
}
