/// CNTK's primitive operations by their numbers in files.
enum CNTKOperation {
  static let block = 57
  static let combine = 44
  static let pastValue = 37
  static let futureValue = 38

  /// The names, in the order of the numbers.
  static let names = [
    "Negate", "Sigmoid", "Tanh", "ReLU", "Exp", "Log", "Sqrt", "Floor", "Abs", "Reciprocal", "Softmax", "Hardmax", "TransposeAxes", "Where", "Slice",
    "Dropout", "Reshape", "Pooling", "SumAll", "Plus", "Minus", "ElementTimes", "Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual",
    "PackedIndex", "GatherPacked", "ScatterPacked", "Times", "TransposeTimes", "Convolution", "SquaredError", "CrossEntropyWithSoftmax",
    "ClassificationError", "PastValue", "FutureValue", "ReduceElements", "BatchNormalization", "Clip", "Select", "Splice", "Combine", "RandomSample",
    "RandomSampleInclusionFrequency", "ROIPooling", "Logistic", "OptimizedRNNStack", "ReconcileDynamicAxis", "LogSoftmax", "LogPlus", "CosDistance",
    "Sin", "Cos", "Pass", "Block", "Unpooling", "LambdaRank", "NDCG", "EditDistanceError", "NoOp", "LabelsToGraph", "StopGradient", "ELU",
    "ForwardBackward", "CosDistanceWithNegativeSamples", "OneHot", "Pow", "ToSequence", "ToSequenceLike", "UnpackSequence", "Assign", "Gather",
    "StableSigmoid", "RandomDistribution", "Sinh", "Cosh", "UnpackBatch", "ToBatch", "Asin", "Acos", "Pad", "Crop", "Atanh", "Asinh", "TopK",
    "Squeeze", "ConstantOp", "LatticeSequenceWithSoftmax", "Cast", "EyeLike", "CustomProxy", "StraightThrough", "Tan", "Atan", "ConvolutionSequenceShape",
  ]

  static func name(_ number: Int) -> String { names.indices.contains(number) ? names[number] : "operation \(number)" }

  static let numbers = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, $0) })

  /// How many results an operation has at most.
  static func resultCount(_ number: Int) -> Int { ["TopK", "UnpackSequence"].contains(name(number)) ? 2 : 1 }
}
