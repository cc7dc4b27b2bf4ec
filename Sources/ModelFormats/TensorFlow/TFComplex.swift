import GraphModule
import TensorModule

/// Ops on complex numbers, which are pairs of tensors: (real, imaginary).
enum TFComplex {
  typealias Pair = (real: ValueID, imaginary: ValueID)

  /// Ops that do to each part what they do to a real tensor.
  private static let linear: Set<String> = [
    "Add", "AddN", "AddV2", "BatchToSpaceND", "BroadcastTo", "Concat", "ConcatV2", "Cumsum", "Diag", "DiagPart", "DynamicStitch",
    "ExpandDims", "Fill", "Gather", "GatherNd", "GatherV2", "MatrixBandPart", "MatrixDiag", "MatrixDiagPart", "MatrixDiagPartV2",
    "MatrixDiagPartV3", "MatrixDiagV2", "MatrixDiagV3", "MatrixSetDiag", "MatrixSetDiagV2", "MatrixSetDiagV3", "Mean", "MirrorPad",
    "Neg", "Pack", "Pad", "Reshape", "ReverseSequence", "ReverseV2", "Roll", "ScatterNd", "SegmentSum", "Select", "SelectV2",
    "Slice", "SpaceToBatchND", "Split", "SplitV", "Squeeze", "StridedSlice", "Sub", "Sum", "TensorScatterAdd", "TensorScatterSub",
    "TensorScatterUpdate", "Tile", "Transpose", "Unpack", "UnsortedSegmentSum", "ZerosLike",
  ]

  /// The results of a node with complex operands.
  static func apply(_ call: TFCall, _ reader: TFOpCatalog.Reader) throws -> [TFValue] {
    if linear.contains(call.op) {
      let reals = try reader(call.with(inputs: call.inputs.map { $0.parts?.real ?? $0 }))
      let imaginaries = try reader(call.with(inputs: call.inputs.map { $0.parts?.imaginary ?? $0 }))
      return zip(reals, imaginaries).enumerated().map { index, parts in
        .complex(parts.0, parts.1, call.builder, name: index == 0 ? call.name : "\(call.name):\(index)")
      }
    }
    if let meaning = meanings[call.op] { return try meaning(call) }
    // Ops that take complex numbers say so themselves.
    if TFOpCatalog.complexOps.contains(call.op) { return try reader(call) }
    throw call.unsupported("\(call.op) of complex numbers")
  }

  /// What other ops do to complex numbers.
  private static let meanings: [String: TFOpCatalog.Reader] = [
    "Mul": { call in [try call.complex(try product(call, try call.pair(0), try call.pair(1)))] },
    "Square": { call in
      let x = try call.pair(0)
      return [try call.complex(try product(call, x, x))]
    },
    "RealDiv": { call in [try call.complex(try quotient(call, try call.pair(0), try call.pair(1)))] },
    "Div": { call in [try call.complex(try quotient(call, try call.pair(0), try call.pair(1)))] },
    "Reciprocal": { call in [try reciprocal(call)] },
    "Inv": { call in [try reciprocal(call)] },
    "OnesLike": { call in
      let type = call.type(try call.pair(0).real)
      let parts = try [1.0, 0].map { try call.broadcast(try call.scalar($0, type.dtype), type.dims) }
      return [try call.complex((parts[0], parts[1]))]
    },
    "Exp": { call in
      let (a, b) = try call.pair(0)
      let size = try call.unary(.exp, a)
      return [try call.complex((try call.binary(.mul, size, try call.unary(.cos, b)), try call.binary(.mul, size, try call.unary(.sin, b))))]
    },
    "Log": { call in
      let x = try call.pair(0)
      return [try call.complex((try call.unary(.log, try magnitude(call, x)), try call.binary(.atan2, x.imaginary, x.real)))]
    },
    "Sqrt": { call in
      // r^½ at half the angle.
      let x = try call.pair(0)
      let size = try call.unary(.sqrt, try magnitude(call, x))
      let angle = try call.unary(.affine, try call.binary(.atan2, x.imaginary, x.real), [0.5, 0])
      return [try call.complex((try call.binary(.mul, size, try call.unary(.cos, angle)), try call.binary(.mul, size, try call.unary(.sin, angle))))]
    },
    "Conj": { call in
      let (a, b) = try call.pair(0)
      return [try call.complex((a, try call.unary(.neg, b)))]
    },
    "ConjugateTranspose": { call in
      let order = try call.integers(1, "a permutation")
      let (a, b) = try call.pair(0)
      let rank = call.type(a).rank
      guard order.count == rank, Set(order) == Set(0..<rank) else { throw call.wrong("\(order) is no permutation of \(rank) axes") }
      return [try call.complex((try call.transpose(a, order), try call.unary(.neg, try call.transpose(b, order))))]
    },
    "Cast": { call in
      let (a, b) = try call.pair(0)
      guard let type = try call.dataType("DstT") else { throw call.wrong("attribute 'DstT' is missing") }
      if let part = type.complexPart { return [try call.complex((try call.cast(a, part), try call.cast(b, part)))] }
      // TensorFlow drops the imaginary part.
      guard let dtype = type.dtype else { throw call.unsupported("a cast to \(type.name)") }
      return call.values([try call.cast(a, dtype)])
    },
    "Equal": { call in call.values([try equal(call)]) },
    "NotEqual": { call in call.values([try call.unary(.not, try equal(call))]) },
    "MatMul": { call in try matrixProduct(call, "transpose_a", "transpose_b", conjugates: false) },
    "BatchMatMul": { call in try matrixProduct(call, "adj_x", "adj_y", conjugates: true) },
    "BatchMatMulV2": { call in try matrixProduct(call, "adj_x", "adj_y", conjugates: true) },
    "BatchMatMulV3": { call in try matrixProduct(call, "adj_x", "adj_y", conjugates: true) },
  ]

  // MARK: Parts

  static func product(_ call: TFCall, _ x: Pair, _ y: Pair) throws -> Pair {
    (
      try call.binary(.sub, try call.binary(.mul, x.real, y.real), try call.binary(.mul, x.imaginary, y.imaginary)),
      try call.binary(.add, try call.binary(.mul, x.real, y.imaginary), try call.binary(.mul, x.imaginary, y.real))
    )
  }

  private static func quotient(_ call: TFCall, _ x: Pair, _ y: Pair) throws -> Pair {
    let size = try call.binary(.add, try call.unary(.square, y.real), try call.unary(.square, y.imaginary))
    let (a, b) = try product(call, x, (y.real, try call.unary(.neg, y.imaginary)))
    return (try call.binary(.div, a, size), try call.binary(.div, b, size))
  }

  private static func reciprocal(_ call: TFCall) throws -> TFValue {
    let (a, b) = try call.pair(0)
    let size = try call.binary(.add, try call.unary(.square, a), try call.unary(.square, b))
    return try call.complex((try call.binary(.div, a, size), try call.unary(.neg, try call.binary(.div, b, size))))
  }

  static func magnitude(_ call: TFCall, _ x: Pair) throws -> ValueID {
    // By the larger part: neither square overflows nor vanishes.
    let (a, b) = (try call.unary(.abs, x.real), try call.unary(.abs, x.imaginary))
    let (large, small) = (try call.binary(.max, a, b), try call.binary(.min, a, b))
    let zero = try call.scalar(0, call.type(a).dtype)
    let ratio = try call.select(try call.binary(.equal, large, zero), zero, try call.binary(.div, small, large))
    let size = try call.binary(.mul, large, try call.unary(.sqrt, try call.unary(.affine, try call.unary(.square, ratio), [1, 1])))
    return try call.select(try call.unary(.isinf, large), large, size)
  }

  private static func equal(_ call: TFCall) throws -> ValueID {
    let (x, y) = (try call.pair(0), try call.pair(1))
    return try call.binary(.and, try call.binary(.equal, x.real, y.real), try call.binary(.equal, x.imaginary, y.imaginary))
  }

  private static func matrixProduct(_ call: TFCall, _ left: String, _ right: String, conjugates: Bool) throws -> [TFValue] {
    let (first, second) = (try call.bool(left), try call.bool(right))
    func operand(_ index: Int, _ turned: Bool) throws -> Pair {
      let x = try call.pair(index)
      return turned && conjugates ? (x.real, try call.unary(.neg, x.imaginary)) : x
    }
    let (x, y) = (try operand(0, first), try operand(1, second))
    func matrix(_ a: ValueID, _ b: ValueID) throws -> ValueID { try call.add(MatMul(transposeA: first, transposeB: second), [a, b], "matmul") }
    let real = try call.binary(.sub, try matrix(x.real, y.real), try matrix(x.imaginary, y.imaginary))
    let imaginary = try call.binary(.add, try matrix(x.real, y.imaginary), try matrix(x.imaginary, y.real))
    return [try call.complex((real, imaginary))]
  }
}

extension TFCall {
  /// Both parts of an operand; a real one has zeros for the second.
  func pair(_ index: Int) throws -> TFComplex.Pair {
    let value = try input(index)
    if let parts = value.parts { return (try builder.id(parts.real), try builder.id(parts.imaginary)) }
    let real = try builder.id(value)
    return (real, try broadcast(try scalar(0, type(real).dtype), type(real).dims))
  }

  func complex(_ pair: TFComplex.Pair, output: Int = 0) throws -> TFValue {
    let names = ["real", "imaginary"].map { output == 0 ? "\(name)/\($0)" : "\(name):\(output)/\($0)" }
    return .complex(
      .value(pair.real, builder, name: names[0]), .value(pair.imaginary, builder, name: names[1]), builder,
      name: output == 0 ? name : "\(name):\(output)")
  }
}

extension TFDataType {
  /// The dtype of each part of a complex type.
  var complexPart: DType? {
    switch number {
    case 8: .float32
    case 18: .float64
    default: nil
    }
  }
}
