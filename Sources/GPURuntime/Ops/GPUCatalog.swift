import GraphModule

/// The ops that have no kernels, and why. Every other op of the catalogue is a `GPUBinding`; a test holds them to that.
package enum GPUCatalog {
  static let strings = "it works on texts, which stay on the processor"
  private static let control = "loops and branches run on the processor"
  private static let sizes = "the size of its result depends on the data"
  private static let pictures = "files are decoded on the processor"
  private static let factorization = "a factorization is a long sequence of small steps"
  private static let selection = "it picks boxes one after the other"
  private static let special = "its series need float64"

  package static let withoutKernels: [(op: any OpDefinition.Type, reason: String)] = [
    (AsString.self, strings), (Base64Coding.self, strings), (DecodeCSV.self, strings), (DecodeRaw.self, strings), (HashCross.self, strings),
    (Lookup.self, strings), (ParseExample.self, strings), (RaggedNGrams.self, strings), (ReduceJoin.self, strings),
    (RegexFullMatch.self, strings), (RegexReplace.self, strings), (SegmentJoin.self, strings), (StringJoin.self, strings),
    (StringLength.self, strings), (StringMap.self, strings), (StringNGrams.self, strings), (StringParts.self, strings),
    (StringSlice.self, strings), (StringSplit.self, strings), (StringToHashBucket.self, strings), (StringToNumber.self, strings),
    (TokenCounts.self, strings), (UnicodeDecode.self, strings), (UnicodeEncode.self, strings), (UnicodeTranscode.self, strings),
    (Branch.self, control), (Loop.self, control),
    (NonZero.self, sizes), (Unique.self, sizes),
    (DecodePicture.self, pictures), (DecodeWav.self, pictures),
    (Cholesky.self, factorization), (LU.self, factorization), (QR.self, factorization), (SingularValues.self, factorization),
    (SymmetricEigen.self, factorization), (TriangularSolve.self, factorization),
    (CombinedNonMaxSuppression.self, selection), (NonMaxSuppression.self, selection),
    (SpecialFunction.self, special),
  ]

  private static let reasons = Dictionary(withoutKernels.map { ($0.op.name, $0.reason) }) { first, _ in first }

  /// Why an op has no kernels; nil when it has.
  package static func reason(_ name: String) -> String? { reasons[name] }

  /// The names of the ops that have kernels.
  package static var opsWithKernels: [String] { OpCatalog.all.filter { $0 is any GPUBinding.Type }.map { $0.name }.sorted() }
}
