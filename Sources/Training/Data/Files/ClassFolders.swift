import TensorModule

/// A folder with a sub-folder of pictures for each class, in the order of Keras's `image_dataset_from_directory`: classes
/// by name, then pictures by the path of their folder and by name. Folders inside a class's are read too, links to folders are not.
struct ClassFolders {
  private let path: String
  private let form: DataForm
  private let picture: PictureForm
  private let input: DataForm.Input
  private let target: DataForm.Target

  private static let suffixes = [".png", ".jpg", ".jpeg"]
  private static let maximumDepth = 32

  init(_ path: String, _ form: DataForm, _ options: DataOptions) throws {
    guard form.inputs.count == 1, form.targets.count == 1 else {
      throw KilnError(.badInput, "a folder of pictures gives one input and one target; the model has \(form.inputs.count) and \(form.targets.count)")
    }
    (self.path, self.form, input, target) = (path, form, form.inputs[0], form.targets[0])
    picture = try PictureForm(input, size: options.imageSize, mode: options.imageMode)
  }

  func store() throws -> SampleStore {
    let folders = try FolderListing.entries(path).filter { $0.isFolder && !$0.name.hasPrefix(".") }.map(\.name)
    guard !folders.isEmpty else { throw KilnError(.badInput, "has no sub-folder; expected one for each class") }
    let names = form.classNames ?? folders
    if let extra = folders.first(where: { !names.contains($0) }) {
      throw KilnError(.badInput, "the folder \(KilnError.quoted(extra)) is none of the model's \(names.count) classes")
    }
    try TargetColumn.countFits(target, names)
    var sources: [PictureSource] = []
    var classes: [Int32] = []
    for (label, name) in names.enumerated() where folders.contains(name) {
      let files = try pictures(in: "\(path)/\(name)")
      guard !files.isEmpty else {
        throw KilnError(.badInput, "the class folder holds no .png or .jpg file", at: ["\(path)/\(name)"], hint: "remove it if there is no such class")
      }
      sources += files.map(PictureSource.file)
      classes += [Int32](repeating: Int32(label), count: files.count)
    }
    let column = try TargetColumn(target, classes: classes, shape: [], classCount: names.count)
    return try SampleStore(
      path: path, count: sources.count, inputs: [SampleStore.Input(form: input, column: .pictures(sources, picture))], targets: [column],
      classNames: names, isClassFolder: true)
  }

  private func pictures(in folder: String) throws -> [String] {
    var folders = [(folder, 0)]
    var found: [(folder: String, name: String)] = []
    while let (next, depth) = folders.popLast() {
      guard depth <= ClassFolders.maximumDepth else { throw KilnError(.badInput, "folders are nested too deep", at: [next]) }
      for entry in try FolderListing.entries(next) {
        if entry.isFolder {
          if !entry.isLink { folders.append(("\(next)/\(entry.name)", depth + 1)) }
        } else if ClassFolders.suffixes.contains(where: entry.name.lowercased().hasSuffix) {
          found.append((next, entry.name))
        }
      }
    }
    func before(_ a: String, _ b: String) -> Bool { a.utf8.lexicographicallyPrecedes(b.utf8) }
    return found.sorted { a, b in a.folder == b.folder ? before(a.name, b.name) : before(a.folder, b.folder) }.map { "\($0.folder)/\($0.name)" }
  }
}
