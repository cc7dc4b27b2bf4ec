import GraphModule
import TensorModule

/// Integers or booleans (0 and 1) that are known before anything runs, as expressions over the inputs' symbols: what
/// TensorFlow's arithmetic on shapes works on.
struct DimTensor {
  var dtype: DType
  var shape: Shape
  var elements: [Dim]

  /// How many elements are looked at.
  static let maximumCount = 4096

  init(_ dtype: DType, _ shape: Shape, _ elements: [Dim]) {
    self.dtype = dtype
    self.shape = shape
    self.elements = elements
  }

  /// The elements of an integer tensor; nil for others and large ones.
  init?(_ tensor: Tensor) {
    guard tensor.dtype.isInteger || tensor.dtype == .bool, tensor.count <= DimTensor.maximumCount else { return nil }
    let values = tensor.integers
    guard values.allSatisfy({ $0.magnitude < 1 << 50 }) else { return nil }
    self.init(tensor.dtype, tensor.shape, values.map { Dim(Int($0)) })
  }

  /// The numbers, when no symbol is left.
  var fixed: [Int]? {
    let numbers = elements.compactMap(\.fixed)
    return numbers.count == elements.count ? numbers : nil
  }

  /// The tensor, when no symbol is left.
  func tensor() throws -> Tensor? {
    guard let fixed else { return nil }
    return try Tensor(integers: fixed.map(Int64.init), dtype: dtype, shape: shape)
  }
}

/// What one output of a node is while a graph is converted.
final class TFValue {
  enum Kind {
    /// A value of the graph, made when it is first asked for.
    case tensor
    /// A variable or a table, by the name of its node.
    case resource(String)
    /// A TensorArray or TensorList: its elements are rows of one tensor.
    case list(TFList)
    /// Complex numbers, as two tensors of one type.
    case complex(real: TFValue, imaginary: TFValue)
  }

  let kind: Kind
  let type: TensorType
  /// The builder whose graph holds it.
  let builder: TFBuilder
  /// The whole value, of a constant.
  let constant: Tensor?
  /// The node's name and output, `conv/Conv2D`, `split:1`.
  let name: String
  private(set) var id: ValueID?
  private var make: (() throws -> ValueID)?
  private var knownElements: DimTensor?
  private var looked = false
  /// The elements of an integer vector or scalar as far as they are copies of others.
  var traced: DimTensor?

  private init(
    _ kind: Kind, _ type: TensorType, _ builder: TFBuilder, name: String, constant: Tensor? = nil, id: ValueID? = nil,
    known: DimTensor? = nil, make: (() throws -> ValueID)? = nil
  ) {
    self.kind = kind
    self.type = type
    self.builder = builder
    self.name = name
    self.constant = constant
    self.id = id
    self.make = make
    knownElements = known
    looked = known != nil
  }

  /// A constant; it enters the graph when it is used.
  static func constant(_ tensor: Tensor, _ builder: TFBuilder, name: String) -> TFValue {
    TFValue(.tensor, TensorType(tensor.dtype, shape: tensor.shape), builder, name: name, constant: tensor)
  }

  static func value(_ id: ValueID, _ builder: TFBuilder, name: String) -> TFValue {
    TFValue(.tensor, builder.graph.type(of: id), builder, name: name, id: id)
  }

  /// Known elements; `make` computes them in the graph, should that be needed.
  static func known(
    _ elements: DimTensor, _ builder: TFBuilder, name: String, make: @escaping () throws -> ValueID
  ) -> TFValue {
    let type = TensorType(elements.dtype, shape: elements.shape)
    if let tensor = try? elements.tensor() {
      return TFValue(.tensor, type, builder, name: name, constant: tensor, known: elements)
    }
    return TFValue(.tensor, type, builder, name: name, known: elements, make: make)
  }

  static func resource(_ node: String, _ builder: TFBuilder) -> TFValue {
    TFValue(.resource(node), TensorType(.int32, []), builder, name: node)
  }

  static func list(_ list: TFList, _ builder: TFBuilder, name: String) -> TFValue {
    TFValue(.list(list), TensorType(.int32, []), builder, name: name)
  }

  static func complex(_ real: TFValue, _ imaginary: TFValue, _ builder: TFBuilder, name: String) -> TFValue {
    TFValue(.complex(real: real, imaginary: imaginary), real.type, builder, name: name)
  }

  /// Both parts of complex numbers.
  var parts: (real: TFValue, imaginary: TFValue)? {
    if case .complex(let real, let imaginary) = kind { (real, imaginary) } else { nil }
  }

  /// Why the value is no single tensor of the graph.
  var refusal: KilnError {
    let what = parts == nil ? "is a resource, not a tensor" : "holds complex numbers, which only some ops take here; the graph itself has none"
    return KilnError(.unsupportedModel, "\(KilnError.quoted(name)) \(what)")
  }

  /// The elements, when they are known before anything runs.
  var known: DimTensor? {
    if looked { return knownElements }
    looked = true
    guard case .tensor = kind, type.dtype.isInteger || type.dtype == .bool else { return nil }
    if let constant {
      knownElements = DimTensor(constant)
    } else if let id, let count = type.elementCount.fixed, count <= DimTensor.maximumCount {
      knownElements = builder.evaluate(id).flatMap { DimTensor($0) }
    }
    return knownElements
  }

  /// How many numbers that the model computes are followed one by one.
  static let maximumNumbers = 64

  /// The elements of integers that are few, as sizes: expressions over lengths and over symbols for numbers that the model
  /// computes. Nil for other values.
  var numbers: [Dim]? { known?.elements ?? traced?.elements ?? ownNumbers }

  /// Symbols that stand for the elements of integers that are few.
  private(set) lazy var ownNumbers: [Dim]? = numberCount.map { builder.sizes.stand(for: self, count: $0) }

  /// The number of elements, when they are integers and few.
  var numberCount: Int? {
    guard case .tensor = kind, type.dtype.isInteger, type.rank <= 2, let count = type.elementCount.fixed, count <= TFValue.maximumNumbers
    else { return nil }
    return count
  }

  /// The whole value, of a constant or what follows from constants alone.
  var evaluated: Tensor? {
    if let constant { return constant }
    if let known { return try? known.tensor() }
    guard case .tensor = kind, let id else { return nil }
    return builder.evaluate(id)
  }

  /// The value in its own builder's graph.
  func materialised() throws -> ValueID {
    if let id { return id }
    guard case .tensor = kind else { throw refusal }
    let made: ValueID
    if let constant {
      made = builder.graph.addConstant(name, constant)
    } else if let make {
      builder.depth += 1
      defer { builder.depth -= 1 }
      guard builder.depth <= 200 else {
        throw KilnError(.unsupportedModel, "the arithmetic on shapes at \(KilnError.quoted(name)) is nested deeper than 200 nodes")
      }
      made = try make()
    } else {
      throw KilnError(.internal, "\(KilnError.quoted(name)) has no value")
    }
    if constant == nil, let knownElements { builder.note(made, knownElements) }
    id = made
    self.make = nil
    return made
  }
}

/// A TensorArray or TensorList as rows of a tensor [size, element...].
struct TFList {
  /// What every stage of one list has in common.
  final class Info {
    let dtype: DType
    /// The number of rows.
    let size: TFValue
    /// The dims of a row, once a row was written or they are declared.
    var element: [Dim]?

    init(dtype: DType, size: TFValue, element: [Dim]? = nil) {
      self.dtype = dtype
      self.size = size
      self.element = element
    }
  }

  var info: Info
  /// The rows; nil before the first is written.
  var rows: TFValue?
  /// Elements one by one, of a list that is pushed to and popped from.
  var items: [TFValue]?
  /// Elements that were written to known places of a list without rows.
  var slots: [Int: TFValue] = [:]
  /// The list gets longer as it is written to; rows may have room beyond its size.
  var grows = false
  /// A variable of a loop that is tried: what is written tells what its elements are.
  var isTrial = false
  /// How many elements were added since the loop's body began.
  var added = 0
  /// A TensorArray that may get longer.
  var isDynamic = false
}
