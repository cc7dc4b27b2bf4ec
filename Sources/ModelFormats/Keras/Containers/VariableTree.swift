import TensorModule

/// The variables of a Keras 3 or tf_keras model as its objects hold them: `layers/lstm/cell/vars/0`.
///
/// A path leads over the attributes of Python objects, and a list's items are named after their classes; the last group,
/// `vars`, has one array for each variable that the object itself made, numbered in that order.
final class VariableTree {
  /// One object: its variables, and the name that it had when there is one.
  private struct Object {
    var variables: [StoredWeight] = []
    var name: String?
    var isUsed = false
  }

  private var objects: [String: Object] = [:]
  private var order: [String] = []
  private var variableCount = 0

  /// The most groups and arrays that a tree may have.
  private static let maximumObjects = 1 << 18
  /// What training adds at the root.
  private static let trainingOnly: Set = [
    "optimizer", "_optimizer", "metrics", "_metrics", "_loss_tracker", "_compile_metrics", "_compile_loss", "_compile_weighted_metrics",
    "compiled_metrics", "compiled_loss", "_compiled_trainable_state", "_metrics_nested_layers",
  ]
  /// Objects whose state serves training only: generators of random numbers.
  private static let generators: Set = ["seed_generator", "_random_generator", "random_generator", "_seed_generator"]

  init() {}

  /// Reads the tree's groups, not the arrays.
  ///
  /// - Throws: `KilnError` (`badInput`) when the file is damaged or holds more objects than a model has.
  convenience init(_ file: HDF5File) throws {
    self.init()
    var stack = [""]
    var count = 0
    while let path = stack.popLast() {
      let children = try file.children(of: path)
      count += children.count
      guard count <= VariableTree.maximumObjects else {
        throw KilnError(.badInput, "holds more than \(VariableTree.maximumObjects) groups and arrays")
      }
      add(object: path)
      for (name, isGroup) in children {
        let place = path.isEmpty ? name : "\(path)/\(name)"
        if path.isEmpty, VariableTree.trainingOnly.contains(name) { continue }
        if isGroup, name == "vars" {
          try addVariables(of: path, from: file, group: place)
        } else if isGroup {
          stack.append(place)
        } else {
          throw KilnError(.badInput, "is an array outside of a group of variables", at: [place])
        }
      }
    }
  }

  /// Adds the arrays in one `vars` group.
  func addVariables(of object: String, from file: HDF5File, group: String) throws {
    var found: [(name: String, weight: StoredWeight)] = []
    for (name, isGroup) in try file.children(of: group) {
      let place = "\(group)/\(name)"
      guard !isGroup else { throw KilnError(.badInput, "is a group where an array is expected", at: [place]) }
      let dataset = try file.dataset(place, allowingUnmarked: true)
      let isUnmarked = dataset.isUnmarked
      found.append(
        (
          name,
          StoredWeight(path: place, dtype: dataset.dtype, shape: dataset.shape, isUnmarked: isUnmarked, isAsStored: true) {
            try file.read(place, allowingUnmarked: isUnmarked)
          }
        ))
    }
    set(found, of: object, name: try file.string("name", of: group))
  }

  /// Notes that there is such an object.
  func add(object: String) {
    if objects.updateValue(objects[object] ?? Object(), forKey: object) == nil { order.append(object) }
  }

  /// Sets an object's variables, sorted: numbered ones by number, then the others by name.
  func set(_ variables: [(name: String, weight: StoredWeight)], of object: String, name: String?) {
    add(object: object)
    let sorted = variables.sorted { left, right in
      (Int(left.name) ?? Int.max, left.name) < (Int(right.name) ?? Int.max, right.name)
    }
    objects[object]?.variables = sorted.map(\.weight)
    objects[object]?.name = name
    variableCount += sorted.count
  }

  /// Whether the file has a group for the object, with or without variables.
  func contains(_ object: String) -> Bool { objects[object] != nil }

  /// The name that the object had.
  func name(of object: String) -> String? { objects[object]?.name }

  /// The object's variables, which count as used from here on.
  func take(_ object: String) -> [StoredWeight] {
    objects[object]?.isUsed = true
    return objects[object]?.variables ?? []
  }

  /// Whether there are no variables at all.
  var isEmpty: Bool { variableCount == 0 }

  /// Every object that has variables, in the file's order.
  var groups: [StoredGroup] {
    order.sorted().compactMap { path in
      guard let object = objects[path], !object.variables.isEmpty, !VariableTree.isGenerator(path) else { return nil }
      return StoredGroup(layer: path, weights: object.variables)
    }
  }

  /// Every object whose variables nobody took, generators of random numbers left out.
  var unused: [StoredGroup] { groups.filter { objects[$0.layer]?.isUsed == false } }

  private static func isGenerator(_ path: String) -> Bool {
    path.split(separator: "/").last.map { generators.contains(String($0)) } ?? false
  }
}
