import GraphModule
import TensorModule

/// What Keras does with the mask of a layer's input.
enum MaskRule {
  /// The result has the input's mask.
  case passes
  /// The result has no mask.
  case drops
  /// The reader sets the masks of its results itself.
  case computed
}

/// A weight of a layer, in the order in which Keras makes them.
struct WeightSlot: Hashable, Sendable {
  var name: String
  var isTrainable: Bool
  /// Whether a file may leave it out, because the configuration has it too.
  var isOptional: Bool

  init(_ name: String, trainable: Bool = true, optional: Bool = false) {
    self.name = name
    isTrainable = trainable
    isOptional = optional
  }
}

/// One Python object of a layer that holds variables: where it is in a tree of objects, and its variables in the tree's
/// order, which is not always that of `weights`.
struct VariableObject {
  /// The way from the layer over attributes, one for each spelling in which Keras wrote it; empty for the layer itself.
  var paths: [String]
  /// The names of `weights`, or `repeated`.
  var slots: [String]

  /// Stands for a variable that another object has too, and that is read there.
  static let repeated = ""

  init(_ paths: String..., slots: [String]) {
    self.paths = paths
    self.slots = slots
  }

  /// The slots in the usual order: trainable ones, then the others.
  init(_ path: String, _ weights: [WeightSlot]) {
    paths = [path]
    slots = (weights.filter(\.isTrainable) + weights.filter { !$0.isTrainable }).map(\.name)
  }
}

/// The meaning of one layer class: made once from a layer's config, then called for each of its calls.
///
/// Making it never throws: wrong and unsupported options are noted in the config's diagnostics.
protocol KerasLayerReader {
  var weights: [WeightSlot] { get }
  /// Layers inside this one (of a wrapper or nested model), in the order of their weights.
  var children: [KerasLayer] { get }
  /// The objects that hold `weights` in `.keras` and `.weights.h5` files. A recurrent layer's are its cell's.
  var objects: [VariableObject] { get }
  /// The attributes of the Keras object that hold `children`, in the same order.
  var childAttributes: [String] { get }
  /// Attributes of the Keras object that hold the layer's own variables a second time.
  var repeatedOwners: [String] { get }
  var masking: MaskRule { get }
  /// Whether the layer does nothing when predicting.
  var isIdentity: Bool { get }
  /// Whether graphs for training have the layer's own `dropout` and `recurrent_dropout`.
  var trainsDropout: Bool { get }
  /// Adds the layer's nodes to the graph.
  ///
  /// - Returns: the results in Keras's order, in Keras's own layout.
  func call(_ call: LayerCall) throws -> [KerasTensor]
}

extension KerasLayerReader {
  var weights: [WeightSlot] { [] }
  var children: [KerasLayer] { [] }
  var objects: [VariableObject] { [VariableObject("", weights)] }
  var childAttributes: [String] { children.map { _ in "layer" } }
  var repeatedOwners: [String] { [] }
  var masking: MaskRule { .drops }
  var isIdentity: Bool { false }
  var trainsDropout: Bool { false }
}

/// A value that flows between layers, with the mask that Keras attaches to it.
struct KerasTensor {
  var value: ValueID
  var mask: ValueID?

  init(_ value: ValueID, mask: ValueID? = nil) {
    self.value = value
    self.mask = mask
  }
}

/// One layer object of a model: its config, meaning, calls and weights.
final class KerasLayer {
  let name: String
  let className: String
  /// The path of layers that leads to it: `outer/inner/conv`.
  let path: String
  let config: LayerConfig
  let reader: any KerasLayerReader
  let isTrainable: Bool
  /// What it computes in: float64 for a float64 policy, else float32.
  let dtype: DType
  /// The objects that hold its weights in a tree.
  var objects: [VariableObject]
  /// The name that it has in a tree.
  var objectName: String
  /// Its calls in the model that holds it.
  var calls: [KerasCall]
  /// Its weights as the file has them, by slot name.
  var stored: [String: StoredWeight] = [:]
  /// The files that it keeps beside its weights.
  var assets = KerasAssets()
  /// Its weights in the graph, by slot name.
  var constants: [String: ValueID] = [:]
  /// How often it was built into the graph.
  var built = 0
  /// The types of the tensors of its first call.
  var inputTypes: [TensorType] = []
  /// The types of the results of each call.
  var resultTypes: [[TensorType]] = []
  /// Whether a mask reached it.
  var isMasked = false

  init(
    name: String, className: String, path: String, config: LayerConfig, reader: any KerasLayerReader, isTrainable: Bool,
    dtype: DType, calls: [KerasCall]
  ) {
    self.name = name
    self.className = className
    self.path = path
    self.config = config
    self.reader = reader
    self.isTrainable = isTrainable
    self.dtype = dtype
    objects = reader.objects
    objectName = name
    self.calls = calls
  }

  /// The weights of this layer and of those inside it, in Keras's order: trainable ones, then the others, to which those of
  /// a frozen layer belong.
  var slots: (trainable: [(layer: KerasLayer, slot: WeightSlot)], other: [(layer: KerasLayer, slot: WeightSlot)]) {
    var trainable = reader.weights.filter(\.isTrainable).map { (layer: self, slot: $0) }
    var other = reader.weights.filter { !$0.isTrainable }.map { (layer: self, slot: $0) }
    for child in reader.children {
      let inner = child.slots
      trainable += inner.trainable
      other += inner.other
    }
    return isTrainable || !config.dialect.movesFrozenWeights ? (trainable, other) : ([], trainable + other)
  }

  /// This layer and every layer inside it, in order.
  var flattened: [KerasLayer] { [self] + reader.children.flatMap(\.flattened) }
}

/// A model or nested model: layers and how they are wired.
struct KerasModel {
  var className: String
  var name: String
  var layers: [KerasLayer]
  var inputs: KerasTree<KerasReference>
  var outputs: KerasTree<KerasReference>
  /// What Keras calls an input, where that is not the name of its InputLayer.
  var inputNames: [String: String] = [:]
}
