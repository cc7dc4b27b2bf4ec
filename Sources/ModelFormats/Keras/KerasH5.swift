import TensorModule

/// A Keras HDF5 file: its attributes and its weight groups.
struct KerasH5 {
  let file: HDF5File
  let version: String?
  let backend: String?
  /// The model's configuration; nil in a weights-only file.
  let config: JSON?
  let hasTrainingConfig: Bool
  /// The group that holds the weight groups: `model_weights`, or the root.
  let weightsPath: String

  init(path: String, budget: Int?) throws {
    file = try HDF5File(path: path, budget: budget)
    weightsPath = try file.exists("model_weights") ? "model_weights" : ""
    version = try file.string("keras_version", of: "") ?? file.string("keras_version", of: weightsPath)
    backend = try file.string("backend", of: "") ?? file.string("backend", of: weightsPath)
    config = try file.string("model_config", of: "").map {
      do { return try JSON.parse($0) } catch let error as KilnError { throw error.inside("model_config") }
    }
    hasTrainingConfig = try file.string("training_config", of: "") != nil
  }

  /// Every weight group in the file's order, arrays not yet read.
  func groups() throws -> [StoredGroup] {
    guard let names = try file.strings("layer_names", of: weightsPath) else {
      throw KilnError(.badInput, "the list layer_names is missing", at: [weightsPath.isEmpty ? "/" : weightsPath])
    }
    guard names.count <= 1 << 20 else { throw KilnError(.badInput, "layer_names holds \(names.count) names") }
    var seen: Set<String> = []
    for name in names where !seen.insert(name).inserted {
      throw KilnError(
        .badInput, "layer_names holds \(KilnError.quoted(name)) twice", at: [weightsPath.isEmpty ? "/" : weightsPath])
    }
    var groups: [StoredGroup] = []
    for name in names {
      let path = weightsPath.isEmpty ? name : "\(weightsPath)/\(name)"
      let weights = try (file.strings("weight_names", of: path) ?? []).map { try weight("\(path)/\($0)") }
      groups.append(StoredGroup(layer: name, weights: weights))
    }
    return groups
  }

  /// How many weights belong to the model itself and to no layer.
  func ownWeights() throws -> Int {
    let group = weightsPath.isEmpty ? "top_level_model_weights" : "\(weightsPath)/top_level_model_weights"
    return try file.exists(group) ? try file.strings("weight_names", of: group)?.count ?? 0 : 0
  }

  /// The training configuration and the optimizer's variables under their names.
  func training() throws -> (configuration: JSON, variables: [StoredWeight])? {
    guard let text = try file.string("training_config", of: "") else { return nil }
    let group = "optimizer_weights"
    let names = try file.exists(group) ? file.strings("weight_names", of: group) ?? [] : []
    return (try JSON.parse(text), try names.map { name in
      var weight = try weight("\(group)/\(name)")
      weight.path = name
      return weight
    })
  }

  private func weight(_ path: String) throws -> StoredWeight {
    let dataset = try file.dataset(path, allowingUnmarked: true)
    let file = file
    let isUnmarked = dataset.isUnmarked
    return StoredWeight(path: path, dtype: dataset.dtype, shape: dataset.shape, isUnmarked: isUnmarked, isAsStored: true) {
      try file.read(path, allowingUnmarked: isUnmarked)
    }
  }
}
