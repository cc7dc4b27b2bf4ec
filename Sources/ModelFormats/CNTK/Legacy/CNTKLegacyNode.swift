import TensorModule

/// A node of a computation network as the file has it.
struct CNTKLegacyNode {
  enum Kind {
    case input(shape: [Int], axis: String)
    case parameter(shape: [Int])
    /// What names a dynamic axis.
    case axis
    case function(op: String, attributes: [String: CNTKAttribute])
    /// A delay, with its own initial state.
    case delay(op: String, steps: Int, shape: [Int], initial: Range<Int>)
    /// The second result of another node.
    case second
    /// Whose options the file does not have, or that is unknown; how long it is was guessed.
    case unread(reason: String?)
  }

  var isDouble: Bool
  var op: String
  var name: String
  var kind: Kind
  /// Where a parameter's values are.
  var values: Range<Int>?
}

/// How the nodes of a computation network lie in its file, by their names.
///
/// The layout of some changed from version to version; then each form that there was is tried, and the one behind which the next node
/// begins is right.
enum CNTKLegacyLayout {
  typealias Form = @Sendable (inout CNTKLegacyReader, _ isDouble: Bool) throws -> CNTKLegacyNode.Kind

  /// Nodes without options, and what they are called since.
  private static let plain: [String: String] = [
    "Negate": "Negate", "Sigmoid": "Sigmoid", "StableSigmoid": "StableSigmoid", "Tanh": "Tanh", "Cosine": "Cos", "Sin": "Sin", "Tan": "Tan", "Acos": "Acos",
    "Asin": "Asin", "Atan": "Atan", "Asinh": "Asinh", "Acosh": "Acosh", "Atanh": "Atanh", "Sinh": "Sinh", "Cosh": "Cosh", "Pass": "Pass",
    "RectifiedLinear": "ReLU", "Exp": "Exp", "Log": "Log", "Sqrt": "Sqrt", "Floor": "Floor", "Abs": "Abs", "Reciprocal": "Reciprocal",
    "Softmax": "Softmax", "LogSoftmax": "LogSoftmax", "Hardmax": "Hardmax", "Plus": "Plus", "Minus": "Minus", "ElementTimes": "ElementTimes",
    "LogPlus": "LogPlus", "Equal": "Equal", "NotEqual": "NotEqual", "Less": "Less", "LessEqual": "LessEqual", "Greater": "Greater",
    "GreaterEqual": "GreaterEqual", "PackedIndex": "PackedIndex", "GatherPacked": "GatherPacked", "ScatterPacked": "ScatterPacked",
    "CosDistance": "CosDistance", "Logistic": "Logistic", "SquareError": "SquaredError", "CrossEntropyWithSoftmax": "CrossEntropyWithSoftmax",
    "ClassificationError": "ClassificationError", "ErrorPrediction": "ClassificationError", "Clip": "Clip", "If": "Select",
    "ReconcileDynamicAxis": "ReconcileDynamicAxis", "Pow": "Pow", "StraightThrough": "StraightThrough", "StopGradient": "StopGradient", "Gather": "Gather",
    "ToBatchAxisNode": "ToBatch", "UnpackBatchAxis": "UnpackBatch", "SumElements": "SumAll", "ExponentialLinearUnit": "ELU", "Scale": "ElementTimes",
    "RowElementTimes": "ElementTimes", "ColumnElementTimes": "ElementTimes", "NoOp": "NoOp",
  ]

  /// Nodes whose options CNTK leaves out of such a file.
  private static let incomplete: [String: String] = [
    "OneHot": "the number of classes", "Padding": "the padding", "TopK": "how many are taken", "Cast": "the data type", "ConstantOp": "the value",
  ]

  private static func function(_ op: String, _ attributes: [String: CNTKAttribute] = [:]) -> CNTKLegacyNode.Kind { .function(op: op, attributes: attributes) }

  private static func axis(_ index: Int) -> CNTKAttribute { .axis(CNTKAxis(index: index, name: "axis \(index)", isOrdered: true)) }

  static func forms(_ op: String) -> [Form]? {
    if let name = plain[op] { return [{ _, _ in function(name) }] }
    if let missing = incomplete[op] { return [{ _, _ in .unread(reason: "its file does not say \(missing)") }] }
    switch op {
    case "InputValue", "SparseInputValue":
      return [
        { reader, _ in
          let input = try input(&reader)
          _ = try reader.float()
          return input
        },
        { reader, _ in try input(&reader) },
        { reader, _ in
          _ = (try reader.long(), try reader.long())
          return .input(shape: try reader.shape(), axis: "")
        },
      ]
    case "DynamicAxis": return [{ _, _ in .axis }]
    case "OutputMultiplexer": return [{ _, _ in .second }]
    case "PastValue", "FutureValue":
      return [
        { reader, isDouble in
          let steps = try reader.int(), shape = try reader.shape()
          return .delay(op: op, steps: steps, shape: shape, initial: try reader.take(isDouble ? 8 : 4))
        }
      ]
    case "Times", "TransposeTimes":
      return [
        { reader, _ in
          let rank = try reader.long()
          _ = try reader.int()
          return function(op, ["outputRank": .int(rank)])
        },
        { reader, _ in function(op, ["outputRank": .int(try reader.long())]) },
      ]
    case "Reshape": return [{ reader, _ in try reshape(&reader) }]
    case "TransposeDimensions":
      return [
        { reader, _ in
          guard try reader.int() == 0, try reader.int() == 0 else { throw reader.wrong("has both axes and an order") }
          let order = try (0..<reader.count(atMost: 64, "axes")).map { _ in try reader.long() }
          return function("TransposeAxes", ["axisVec": .list(order.map { axis($0) })])
        },
        { reader, _ in
          let (one, other) = (try reader.int(), try reader.int())
          guard one > 0, other > 0 else { throw reader.wrong("swaps the axes \(one) and \(other)") }
          return function("TransposeAxes", ["axis1": axis(one - 1), "axis2": axis(other - 1)])
        },
      ]
    case "RowStack": return [{ reader, _ in function("Splice", ["axis": axis(max(1, try reader.int()) - 1)]) }, { _, _ in function("Splice", ["axis": axis(0)]) }]
    case "Slice", "RowSlice":
      return [
        { reader, _ in try slice(&reader, lists: true, strides: true) }, { reader, _ in try slice(&reader, lists: true, strides: false) },
        { reader, _ in try slice(&reader, lists: false, strides: false) },
        { reader, _ in
          let begin = try reader.long(), count = try reader.long()
          return function("Slice", slice([0], [begin], [begin &+ count], [1]))
        },
      ]
    case "ReduceElements":
      return [
        { reader, _ in
          let count = try reader.int()
          guard (1...64).contains(count) else { throw reader.wrong("reduces \(count) axes") }
          let axes = try (0..<count).map { _ in try reader.int() }, name = try reader.text()
          return reduction(axes, name, keeps: try reader.flag())
        },
        { reader, _ in
          let axes = [try reader.int()], name = try reader.text()
          return reduction(axes, name, keeps: try reader.flag())
        },
        { reader, _ in
          let index = try reader.int()
          return reduction([index], try reader.text(), keeps: index > 0)
        },
      ]
    case "SumColumnElements": return [{ _, _ in function("ReduceElements", ["axis": axis(0), "reductionOpName": .text("Sum"), "reductionKeepDimensions": .bool(true)]) }]
    case "Where":
      return [
        { reader, _ in try place(try reader.text()) }, { _, _ in try place("") },
      ]
    case "UnpackSequence":
      return [
        { reader, isDouble in
          let filling = isDouble ? try reader.double() : try reader.float()
          return function("UnpackSequence", ["sequenceUnpackPaddingValue": .float(filling), "sequenceUnpackSuppressMaskOutput": .bool(try reader.flag())])
        }
      ]
    case "ToSequence": return [{ reader, _ in function("ToSequence", ["sequenceAxis": .text(try reader.text())]) }]
    case "Dropout":
      return [
        { reader, _ in
          _ = (try reader.long(), try reader.long())
          return function("Dropout")
        },
        { reader, _ in
          _ = (try reader.int(), try reader.long())
          return function("Dropout")
        },
        { _, _ in function("Dropout") },
      ]
    case "BatchNormalization": return [{ reader, _ in try normalization(&reader, count: 8) }, { reader, _ in try normalization(&reader, count: 1) }]
    case "Convolution", "Pooling", "MaxUnpooling":
      return [31, 23, 21, 20, 9].map { version in { reader, _ in try CNTKLegacyWindow(&reader, version, op).kind } }
    case "ROIPooling":
      return [
        { reader, _ in
          let shape = try reader.shape(), kind = try reader.int(), scale = try reader.double()
          return function(op, ["roiOutputShape": .shape(CNTKShape(dims: shape)), "poolingType": .int(kind - 1), "spatialScale": .float(scale)])
        },
        { reader, _ in function(op, ["roiOutputShape": .shape(CNTKShape(dims: try reader.shape())), "poolingType": .int(0), "spatialScale": .float(1)]) },
      ]
    case "Crop":
      return [
        { reader, _ in
          let offsets = [try reader.double(), try reader.double()]
          let numbers = offsets.compactMap { Int(exactly: $0.rounded()) }
          return numbers.count == 2 ? function("Crop", ["offset": .list(numbers.map { .int($0) })]) : function("Crop")
        },
        { _, _ in function("Crop") },
      ]
    case "EyeLikeOp":
      return [
        { reader, _ in
          _ = try reader.flag()
          return function("EyeLike")
        }
      ]
    case "OptimizedRNNStack": return [{ reader, _ in try stack(&reader, hasAxis: true) }, { reader, _ in try stack(&reader, hasAxis: false) }]
    default: return nil
    }
  }

  private static func input(_ reader: inout CNTKLegacyReader) throws -> CNTKLegacyNode.Kind {
    let rows = try reader.long()
    _ = try reader.long()
    let shape = try reader.shape()
    let axes = try reader.int()
    guard axes == 1 || axes == 0 else { throw reader.wrong("has an input of \(axes) dynamic axes") }
    let all = checkedProduct(shape) ?? 0
    return .input(shape: rows > 0 && rows != all ? [rows] : shape, axis: axes == 1 ? try reader.text() : "")
  }

  private static func reshape(_ reader: inout CNTKLegacyReader) throws -> CNTKLegacyNode.Kind {
    let (begin, end) = (try reader.int(), try reader.int())
    let shape = try reader.shape().map { $0 == 0 ? CNTKShape.inferred : $0 }
    guard begin >= 1, end >= 0 else { throw reader.wrong("reshapes the axes \(begin) to \(end)") }
    var attributes: [String: CNTKAttribute] = ["newShape": .shape(CNTKShape(dims: shape)), "beginAxis": axis(begin - 1)]
    if end > 0 { attributes["endAxis"] = axis(end - 1) }
    return function("Reshape", attributes)
  }

  private static func slice(_ axes: [Int], _ begins: [Int], _ ends: [Int], _ strides: [Int]) -> [String: CNTKAttribute] {
    [
      "axisVec": .list(axes.map { axis($0) }), "beginIndexVec": .list(begins.map { .int($0) }), "endIndexVec": .list(ends.map { .int($0) }),
      "sliceStridesVec": .list(strides.map { .int($0) }),
    ]
  }

  private static func slice(_ reader: inout CNTKLegacyReader, lists: Bool, strides: Bool) throws -> CNTKLegacyNode.Kind {
    let count = lists ? try reader.int() : 1
    guard (1...64).contains(count) else { throw reader.wrong("slices \(count) axes") }
    var (axes, begins, ends, steps) = ([Int](), [Int](), [Int](), [Int]())
    for _ in 0..<count {
      let (begin, length, index) = (try reader.long(), try reader.long(), try reader.int())
      guard index >= 1, begin.magnitude < 1 << 40, length.magnitude < 1 << 40 else { throw reader.wrong("slices \(length) from \(begin) of the axis \(index)") }
      axes.append(index - 1)
      begins.append(begin)
      ends.append(begin + length)
      steps.append(strides ? try reader.int() : 1)
    }
    return function("Slice", slice(axes, begins, ends, steps))
  }

  private static func reduction(_ axes: [Int], _ name: String, keeps: Bool) -> CNTKLegacyNode.Kind {
    let all = axes.map { index -> CNTKAttribute in
      switch index {
      case 0: .axis(CNTKAxis(index: CNTKAxis.allStatic, name: "all static axes", isOrdered: false))
      case -1: .axis(CNTKAxis(index: CNTKAxis.all, name: "all axes", isOrdered: false))
      case -2: .axis(CNTKAxis(index: CNTKAxis.dynamic, name: CNTKAxis.sequenceName, isOrdered: true))
      case -3: .axis(CNTKAxis(index: CNTKAxis.dynamic, name: CNTKAxis.batchName, isOrdered: false))
      default: axis(index - 1)
      }
    }
    return function("ReduceElements", ["axisVec": .list(all), "reductionOpName": .text(name), "reductionKeepDimensions": .bool(keeps)])
  }

  private static func place(_ name: String) throws -> CNTKLegacyNode.Kind {
    let batch = CNTKAttribute.axis(CNTKAxis(index: CNTKAxis.dynamic, name: CNTKAxis.batchName, isOrdered: false))
    if name == CNTKLegacyFile.noSequence { return function("Where", ["newDynamicAxes": .list([batch])]) }
    return function("Where", ["newDynamicAxes": .list([.axis(CNTKAxis(index: CNTKAxis.dynamic, name: name, isOrdered: true)), batch])])
  }

  private static func normalization(_ reader: inout CNTKLegacyReader, count: Int) throws -> CNTKLegacyNode.Kind {
    let spatial = try reader.flag()
    _ = (try reader.double(), try reader.double())
    let layout = try reader.int()
    _ = try reader.take(count)
    let epsilon = try reader.double()
    _ = try reader.flag()
    guard epsilon >= 0, epsilon < 1e6, (0...1).contains(layout) else { throw reader.wrong("normalises with an epsilon of \(epsilon)") }
    guard !spatial || layout == 1 else { return .unread(reason: "its images have their channels first") }
    return function("BatchNormalization", ["spatial": .bool(spatial), "epsilon": .float(epsilon)])
  }

  private static func stack(_ reader: inout CNTKLegacyReader, hasAxis: Bool) throws -> CNTKLegacyNode.Kind {
    let isBidirectional = try reader.flag(), layers = try reader.long(), units = try reader.long(), op = try reader.text()
    if hasAxis { _ = try reader.int() }
    return function(
      "OptimizedRNNStack", ["bidirectional": .bool(isBidirectional), "numLayers": .int(layers), "hiddenSize": .int(units), "recurrentOp": .text(op)])
  }
}

/// The window of a convolution or pool of a computation network.
struct CNTKLegacyWindow {
  let kind: CNTKLegacyNode.Kind

  init(_ reader: inout CNTKLegacyReader, _ version: Int, _ op: String) throws {
    let kernel = try reader.shape()
    _ = try reader.shape()
    let strides = try reader.shape(), sharing = try reader.flags(), automatic = try reader.flags(), low = try reader.shape(), high = try reader.shape()
    let pool = try reader.int(), layout = try reader.int()
    _ = try reader.long()
    guard (0...2).contains(pool), (0...1).contains(layout) else { throw reader.wrong("pools in the way \(pool)") }
    let isTransposed = try reader.flag()
    let output = version >= 20 ? try reader.shape() : [0]
    let roundsUp = version >= 21 ? try reader.flag() : false
    let includesPadding = version >= 23 ? try reader.flag() : false
    var attributes: [String: CNTKAttribute] = [
      "strides": .shape(CNTKShape(dims: strides)), "sharing": .list(sharing.map { .bool($0) }), "autoPadding": .list(automatic.map { .bool($0) }),
      "lowerPad": .shape(CNTKShape(dims: low)), "upperPad": .shape(CNTKShape(dims: high)), "ceilOutDim": .bool(roundsUp),
    ]
    if op == "Convolution" {
      let isFlat = try reader.flag()
      if version >= 20 { attributes["dilation"] = .shape(CNTKShape(dims: try reader.shape())) }
      attributes["kernelShape"] = .shape(CNTKShape(dims: kernel))
      attributes["transpose"] = .bool(isTransposed)
      attributes["outputShape"] = .shape(CNTKShape(dims: output))
      kind = layout == 0 || isFlat ? .unread(reason: "it is of the old form of convolutions, with its channels first or a flat kernel") : .function(op: op, attributes: attributes)
      return
    }
    attributes["poolingType"] = .int(op == "Pooling" ? pool - 1 : 0)
    attributes[op == "Pooling" ? "poolingWindowShape" : "unpoolingWindowShape"] = .shape(CNTKShape(dims: kernel))
    attributes["includePad"] = .bool(includesPadding)
    guard layout == 1 else {
      kind = .unread(reason: "its images have their channels first")
      return
    }
    kind = .function(op: op == "Pooling" ? op : "Unpooling", attributes: attributes)
  }
}
