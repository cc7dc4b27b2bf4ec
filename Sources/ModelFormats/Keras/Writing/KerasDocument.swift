import TensorModule

/// A Keras model as its writers take it: the configuration in the terms of Keras 3, and every variable by layer and name.
///
/// An importer makes it beside the graph, from any generation of Keras: options have their present names, kernels their present
/// layout and direction, gates their present order. The variables are those of the layers, before anything was folded.
package struct KerasDocument: Sendable {
  /// One variable of a layer.
  package struct Variable: Sendable {
    /// The path of the layer that has it: `outer/inner/conv`.
    package var layer: String
    /// What Keras calls it: `kernel`.
    package var name: String
    /// The model's own layer in which it is; legacy `.h5` files group by these.
    package var group: String
    /// Where it is in a tree of objects: `layers/dense/vars/0`. More than one where objects share it.
    package var places: [String]
    package var isTrainable: Bool
    package var tensor: Tensor
    /// Its name in the source, when it is laid out as there: the optimizer's variables of the source belong to its elements.
    package var sourceName: String?

    package init(layer: String, name: String, group: String, places: [String], isTrainable: Bool, tensor: Tensor) {
      self.layer = layer
      self.name = name
      self.group = group
      self.places = places
      self.isTrainable = isTrainable
      self.tensor = tensor
    }
  }

  /// What Keras 3's `config.json` holds, without `compile_config`.
  package var model: JSON
  /// In the order of legacy `.h5` files: by the model's layers, trainable ones before the others.
  package var variables: [Variable] = []
  /// The objects of layers with their names: `layers/dense`, `dense_7`.
  package var objects: [(place: String, name: String)] = []
  /// Text files beside the variables: `assets/layers/string_lookup/vocabulary.txt`.
  package var assets: [(name: String, text: String)] = []
  /// How the model was compiled, in the terms of Keras 3.
  package var compileConfig: JSON?
  /// The optimizer's variables in the order of Keras 3, as names among those that the source keeps.
  package var optimizerVariables: [String] = []
  /// Why it cannot be written; empty when it can.
  package var problems: [String] = []
  /// The paths of layers that a mask reaches.
  package var maskedLayers: [String] = []
  /// The names of the model's layers in the order of Keras 2, where masks make another of it in Keras 3; else empty.
  package var order2: [String] = []
  /// What is not as it was in the source.
  package var notes: [String] = []

  package init(model: JSON) { self.model = model }
}

extension KerasDocument {
  /// The variables and objects of a model.
  ///
  /// - Throws: `KilnError` when an array cannot be read.
  mutating func add(_ model: WrittenModel) throws {
    var collector = Collector()
    collector.places(model.layers, in: "")
    objects = collector.objects
    for layer in model.layers {
      let slots = layer.allSlots
      for (isTrainable, list) in [(true, slots.trainable), (false, slots.other)] {
        for (owner, slot) in list {
          guard let weight = owner.stored[slot.name], let places = collector.found[ObjectIdentifier(owner)]?[slot.name] else { continue }
          var variable = Variable(
            layer: collector.paths[ObjectIdentifier(owner)] ?? owner.name, name: slot.name, group: layer.name, places: places,
            isTrainable: isTrainable, tensor: try weight.load())
          if weight.isAsStored { variable.sourceName = weight.path }
          variables.append(variable)
        }
      }
    }
  }

  /// Walks over the layers as Keras does when it saves.
  private struct Collector {
    var objects: [(place: String, name: String)] = []
    var found: [ObjectIdentifier: [String: [String]]] = [:]
    var paths: [ObjectIdentifier: String] = [:]

    mutating func places(_ layers: [WrittenLayer], in container: String, path: String = "") {
      let names = VariableMatcher.itemNames(layers.map(\.className))
      for (layer, name) in zip(layers, names) {
        place(layer, at: container.isEmpty ? "layers/\(name)" : "\(container)/layers/\(name)", path: path.isEmpty ? layer.name : "\(path)/\(layer.name)")
      }
    }

    private mutating func place(_ layer: WrittenLayer, at place: String, path: String) {
      objects.append((place, layer.objectName ?? layer.name))
      paths[ObjectIdentifier(layer)] = path
      if let nested = layer.nested { places(nested.layers, in: place, path: path) }
      for child in layer.children { self.place(child.layer, at: "\(place)/\(child.attribute)", path: "\(path)/\(child.layer.name)") }
      for object in layer.objects {
        let own = object.paths.first.flatMap { $0.isEmpty ? nil : $0 }.map { "\(place)/\($0)" } ?? place
        var index = 0
        for slot in object.slots {
          if slot == VariableObject.repeated {
            // The wrapped layer's kernel, which is its first variable.
            if let inner = layer.children.first?.layer, let first = inner.slots.first {
              found[ObjectIdentifier(inner), default: [:]][first.name, default: []].append("\(own)/vars/\(index)")
            }
          } else if layer.stored[slot] != nil {
            let name = slot == "idf_weights" ? slot : "\(index)"
            found[ObjectIdentifier(layer), default: [:]][slot, default: []].append("\(own)/vars/\(name)")
            // The lookup inside has it a second time.
            if layer.className == "TextVectorization" {
              found[ObjectIdentifier(layer), default: [:]][slot, default: []].append("\(own)/_lookup_layer/vars/\(name)")
            }
          } else {
            continue
          }
          index += 1
        }
      }
    }
  }
}
