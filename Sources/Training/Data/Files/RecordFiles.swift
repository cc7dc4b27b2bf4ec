import GraphModule
import TensorModule

/// TFRecord files of `tf.train.Example` messages. A feature is an input's by its name; of the only input also by one of the
/// usual names, or as the only feature besides the target. Texts are PNG or JPEG files, or the bytes 0…255 of a picture's samples.
struct RecordFiles {
  private let paths: [String]
  private let form: DataForm
  private let options: DataOptions

  init(_ paths: [String], _ form: DataForm, _ options: DataOptions) {
    (self.paths, self.form, self.options) = (paths, form, options)
  }

  private static let inputNames = ["x", "image/encoded", "image", "image_raw", "features", "input"]
  private static let targetNames = ["y", "label", "image/class/label", "target", "class"]

  func store(_ path: String) throws -> SampleStore {
    var inputs: [FeatureColumn] = []
    var targets: [FeatureColumn] = []
    var count = 0
    for path in paths {
      let file = try MappedFile(path: path)
      do {
        var reader = try RecordReader(file.bytes)
        while let range = try reader.next() {
          let place = "record \(reader.index - 1)"
          do {
            let message = try ExampleMessage(UnsafeRawBufferPointer(rebasing: file.bytes[range]))
            if count == 0 { (inputs, targets) = try columns(message) }
            for index in inputs.indices { try inputs[index].add(message, file, range.lowerBound, place) }
            for index in targets.indices { try targets[index].add(message, file, range.lowerBound, place) }
          } catch let error as KilnError { throw error.inside(place) }
          count += 1
          file.release(UnsafeRawBufferPointer(rebasing: file.bytes[range]))
        }
      } catch let error as KilnError { throw error.inside(path) }
    }
    guard count > 0 else { throw KilnError(.badInput, "holds no records", at: [paths[0]]) }
    var classNames = form.classNames
    let targetColumns = try zip(form.targets, targets).map { target, column in
      try column.naming { try TargetColumn.of(target, column.tensor(target.dims, isTarget: true), names: &classNames) }
    }
    let inputColumns = try zip(form.inputs, inputs).map { input, column in
      try column.naming { SampleStore.Input(form: input, column: try column.column(input, options)) }
    }
    return try SampleStore(path: path, count: count, inputs: inputColumns, targets: targetColumns, classNames: classNames)
  }

  /// Which feature is whose.
  private func columns(_ message: ExampleMessage) throws -> ([FeatureColumn], [FeatureColumn]) {
    var rest = Set(message.features.keys)
    func take(_ names: [String], _ what: String, only: Bool = false) throws -> FeatureColumn {
      let found = names.map { ByteString($0) }.first(where: rest.contains) ?? (only && rest.count == 1 ? rest.first : nil)
      guard let found else {
        let listed = rest.sorted().prefix(8).map(\.quoted).joined(separator: ", ")
        throw KilnError(
          .badInput, "no feature \(names.prefix(4).map(KilnError.quoted).joined(separator: " or ")) for \(what); there are \(listed)",
          hint: "--target names the feature of the targets")
      }
      rest.remove(found)
      return FeatureColumn(found)
    }
    let (single, taught) = (form.inputs.count == 1, form.targets.count == 1)
    let targets = try form.targets.map { target in
      try take(
        taught ? options.target.map { [$0] } ?? [target.name] + target.aliases + RecordFiles.targetNames : [target.name] + target.aliases,
        "the target")
    }
    let inputs = try form.inputs.map { input in
      try take(
        [input.name] + input.aliases + (single ? RecordFiles.inputNames : []), "the input \(KilnError.quoted(input.name))", only: single)
    }
    return (inputs, targets)
  }
}
