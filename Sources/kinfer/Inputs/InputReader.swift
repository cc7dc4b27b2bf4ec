import Kiln
import Training

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Turns `--input [NAME=]FILE` arguments into the model's inputs. What a file is, its content tells; the name only tells
/// JSON from CSV when neither is plain.
struct InputReader {
  let inputs: [TensorDescription]
  let imageMode: ImageMode
  /// `--sequence-lengths` arguments: `NAME=6,3`.
  var sequenceLengths: [String] = []

  /// The inputs that hold data; lengths of sequences may be left out.
  private var main: [TensorDescription] { inputs.filter { $0.lengthsOf == nil } }

  /// - Parameter texts: `--text` arguments: samples of an input of strings, in their order.
  /// - Throws: `KilnError`: `usage` for an input that is not named, named twice or missing; `badInput` for its file.
  func read(_ arguments: [String], texts: [String] = []) throws -> Samples {
    var found: [String: Samples.Source] = [:]
    func add(_ name: String, _ source: Samples.Source) throws {
      switch (found[name], source) {
      case (nil, _): found[name] = source
      // Pictures of one input add up.
      case (.images(let files, let reader), .images(let more, _)): found[name] = .images(files + more, reader)
      case (.files(let files, let input), .files(let more, _)): found[name] = .files(files + more, input)
      default: throw KilnError(.usage, "input \(KilnError.quoted(name)) is given twice")
      }
    }
    let byPosition =
      main.count > 1 && arguments.count == main.count && arguments.allSatisfy { split($0).0 == nil && exists($0) && !isMany($0) }
    for (position, argument) in arguments.enumerated() {
      var (name, path) = split(argument)
      // As many files as inputs, none of them named: in the model's order.
      if byPosition { name = main[position].name }
      let bytes = try InputReader.isFolder(path) ? nil : MappedFile(path: path)
      if let input = try? only(name, path), input.dtype == .string, bytes.map({ InputReader.isRaw(path, $0.bytes) }) ?? true {
        try add(input.name, .files(try bytes == nil ? InputReader.images(in: path) : [path], input))
        continue
      }
      if let bytes, bytes.bytes.starts(with: [0x50, 0x4B]) {
        for (name, tensor) in try arrays(NumPyFile.read(npz: path), for: name, path) { try add(name, .tensor(tensor)) }
      } else if let bytes, InputReader.isJSONLines(path) {
        for (name, tensor) in try placing(
          path,
          { try TextLines.arrays(bytes.bytes, only: { [name] in try only(name, path) }, named: { try input(named: $0, path) }) })
        { try add(name, .tensor(tensor)) }
      } else if name == nil, let bytes, case .object(let object)? = try json(bytes, path) {
        for (name, value) in object.entries {
          let input = try input(named: name, path)
          try add(name, .tensor(try placing(path) { try input.adopt(JSONTensor.tensor(value, for: input)) }))
        }
      } else {
        let input = try only(name, path)
        try add(input.name, try source(path, bytes, input))
      }
    }
    var spoken: [String: [ByteString]] = [:]
    for text in texts {
      let (name, value) = split(text)
      spoken[try textInput(name).name, default: []].append(ByteString(value))
    }
    for (name, values) in spoken { try add(name, .tensor(try TextLines.tensor(values, for: try input(named: name, "--text")))) }
    for argument in sequenceLengths {
      for (name, tensor) in try lengths(argument, found) {
        // Inputs of one sequence axis may each be given their lengths, which are the same.
        if case .tensor(let known)? = found[name], known.integers == tensor.integers { continue }
        try add(name, .tensor(tensor))
      }
    }
    return try Samples(
      try inputs.map { input in
        guard let source = try found[input.name] ?? fullLengths(input, found) else {
          throw KilnError(.usage, "input \(KilnError.quoted(input.name)) is missing; it takes \(input.typeText)")
        }
        return source
      }, inputs)
  }

  /// The lengths that `NAME=6,3` gives the sequences of an input; nothing when the model does without them.
  private func lengths(_ argument: String, _ found: [String: Samples.Source]) throws -> [(String, Tensor)] {
    let (name, list) = split(argument)
    guard let owner = try name.map({ try input(named: $0, "--sequence-lengths") }) ?? (main.count == 1 ? main[0] : nil), let title = owner.lengthsInput else {
      throw KilnError(.usage, "--sequence-lengths \(KilnError.quoted(argument)): it takes NAME=6,3 with the name of an input of sequences")
    }
    let numbers = list.split(separator: ",", omittingEmptySubsequences: false).map { Int($0.trimmingPrefix(" ")) }
    let lengths = numbers.compactMap { $0 }
    guard lengths.count == numbers.count, case .tensor(let tensor)? = found[owner.name], tensor.shape.count >= 2, lengths.count == tensor.shape[0],
      lengths.allSatisfy({ (1...max(1, tensor.shape[1])).contains($0) })
    else {
      throw KilnError(.usage, "--sequence-lengths \(KilnError.quoted(argument)): it takes a length from 1 to the longest for each sample of input \(KilnError.quoted(owner.name))")
    }
    guard inputs.contains(where: { $0.name == title }) else { return [] }
    return [(title, try Tensor(lengths.map { Int32(clamping: $0) }, shape: [lengths.count]))]
  }

  /// The lengths of sequences that are all as long as their input.
  private func fullLengths(_ input: TensorDescription, _ found: [String: Samples.Source]) throws -> Samples.Source? {
    guard let owner = input.lengthsOf, case .tensor(let tensor)? = found[owner], tensor.shape.count >= 2 else { return nil }
    return .tensor(try Tensor([Int32](repeating: Int32(clamping: tensor.shape[1]), count: tensor.shape[0]), shape: [tensor.shape[0]]))
  }

  /// `NAME=FILE` when the text before the first `=` is an input's name; else the whole is a file.
  private func split(_ argument: String) -> (String?, String) {
    for input in inputs {
      for name in input.names where argument.hasPrefix(name + "=") {
        return (input.name, String(argument.dropFirst(name.count + 1)))
      }
    }
    return (nil, argument)
  }

  private func exists(_ path: String) -> Bool { access(path, R_OK) == 0 }

  /// Whether a file holds arrays for several inputs by name.
  private func isMany(_ path: String) -> Bool {
    guard let file = try? MappedFile(path: path) else { return false }
    if file.bytes.starts(with: [0x50, 0x4B]) { return true }
    if InputReader.isJSONLines(path) { return true }
    if case .object? = try? json(file, path) { return true }
    return false
  }

  /// The input that `--text` is for: the one that is named, or the only one of strings.
  private func textInput(_ name: String?) throws -> TensorDescription {
    if let name { return try input(named: name, "--text") }
    let textual = inputs.filter { $0.dtype == .string }
    guard textual.count == 1 else {
      throw KilnError(.usage, textual.isEmpty ? "--text: the model takes no strings" : "--text needs NAME=: the model's inputs of strings are \(textual.map(\.name).joined(separator: ", "))")
    }
    return textual[0]
  }

  /// Whether a file for an input of strings is one of them as it is: all but the files that hold lists.
  private static func isRaw(_ path: String, _ bytes: UnsafeRawBufferPointer) -> Bool {
    !NumPyFile.isNPY(bytes) && ![".npy", ".npz", ".json", ".jsonl", ".ndjson", ".csv", ".txt"].contains(where: path.lowercased().hasSuffix)
  }

  private static func isJSONLines(_ path: String) -> Bool {
    path.lowercased().hasSuffix(".jsonl") || path.lowercased().hasSuffix(".ndjson")
  }

  private func only(_ name: String?, _ path: String) throws -> TensorDescription {
    if let name { return try input(named: name, path) }
    guard main.count == 1 else {
      let names = main.map(\.name).joined(separator: ", ")
      throw KilnError(.usage, "--input \(KilnError.quoted(path)) needs NAME=: the model's inputs are \(names)")
    }
    return main[0]
  }

  private func input(named name: String, _ path: String) throws -> TensorDescription {
    guard let input = inputs.first(where: { $0.isCalled(name) }) else {
      let names = inputs.map { KilnError.quoted($0.name) }.joined(separator: ", ")
      throw KilnError(.badInput, "the model has no input \(KilnError.quoted(name)); its inputs are \(names)", at: [path])
    }
    return input
  }

  /// The arrays of an `.npz`: by name; a single array goes to a single input, or to the one that was named.
  private func arrays(
    _ arrays: [(name: String, tensor: Tensor)], for name: String?, _ path: String
  ) throws -> [(String, Tensor)] {
    if arrays.count == 1, name != nil || main.count == 1 {
      let input = try only(name, path)
      return [(input.name, try placing(path) { try input.adopt(arrays[0].tensor) })]
    }
    // What numpy.savez calls arrays that were given no names: in the model's order.
    if arrays.count == main.count, name == nil, arrays.allSatisfy({ $0.name.hasPrefix("arr_") }),
      !arrays.contains(where: { array in inputs.contains { $0.name == array.name } })
    {
      let ordered = arrays.sorted { (Int($0.name.dropFirst(4)) ?? 0) < (Int($1.name.dropFirst(4)) ?? 0) }
      return try zip(main, ordered).map { input, array in
        (input.name, try placing(path) { try input.adopt(array.tensor) })
      }
    }
    return try arrays.map { array in
      let input = try input(named: array.name, path)
      guard name == nil || name == input.name else {
        throw KilnError(.usage, "\(KilnError.quoted(path)) holds more than the input \(KilnError.quoted(name ?? ""))")
      }
      return (input.name, try placing(path) { try input.adopt(array.tensor) })
    }
  }

  private func source(_ path: String, _ file: MappedFile?, _ input: TensorDescription) throws -> Samples.Source {
    guard let file else {
      let files = try InputReader.images(in: path)
      return .images(files, try placing(path) { try ImageReader(input, imageMode) })
    }
    if ImageReader.isImage(file.bytes) {
      return .images([path], try placing(path) { try ImageReader(input, imageMode) })
    }
    return .tensor(
      try placing(path) {
        if NumPyFile.isNPY(file.bytes) {
          let tensor = try input.holdsExamples ? NumPyFile.parse(file.bytes, bytesOf: InputReader.message) : NumPyFile.parse(file.bytes)
          return try input.adopt(tensor)
        }
        if input.dtype == .string, path.lowercased().hasSuffix(".txt") {
          return try input.adopt(TextLines.tensor(TextLines.split(file.bytes).map { ByteString($0) }, for: input))
        }
        if let value = try json(file, nil) { return try input.adopt(JSONTensor.tensor(value, for: input)) }
        guard path.lowercased().hasSuffix(".csv") || path.lowercased().hasSuffix(".txt") else {
          throw KilnError(.badInput, "is none of .npy, .npz, .json, .jsonl, .csv, .png, .jpg, nor .txt for an input of strings")
        }
        return try CSVTensor.tensor(file.bytes, for: input)
      })
  }

  /// A protobuf message among the NULs that NumPy fills elements up with: those that belong to its last field are its own.
  private static func message(_ padded: ArraySlice<UInt8>) -> ByteString {
    var end = padded.endIndex
    while end > padded.startIndex, padded[end - 1] == 0 { end -= 1 }
    let least = end - padded.startIndex
    let length = padded.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) -> Int in
      var reader = WireReader(bytes)
      while reader.position < least {
        guard let tag = try? reader.tag(), (try? reader.payload(wire: tag.wire)) != nil else { return least }
      }
      return reader.position
    }
    return ByteString(padded.prefix(length))
  }

  /// The value of a JSON file; nil when the file is something else.
  private func json(_ file: MappedFile, _ path: String?) throws -> JSON? {
    let isNamed = file.path.lowercased().hasSuffix(".json")
    let first = file.bytes.first { !($0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09) }
    guard isNamed || first == UInt8(ascii: "[") || first == UInt8(ascii: "{") else { return nil }
    return try placing(path) { try JSON.parse(file.bytes, limits: JSON.Limits(depth: 32, values: 256 << 20, bytes: 2 << 30)) }
  }

  private func placing<Result>(_ path: String?, _ work: () throws -> Result) throws -> Result {
    do { return try work() } catch let error as KilnError { throw path.map(error.inside) ?? error }
  }

  private static func isFolder(_ path: String) throws -> Bool {
    var status = stat()
    guard stat(path, &status) == 0 else {
      let error = KilnError(.badInput, FileError.message("cannot be opened"), at: [path])
      guard let equals = path.firstIndex(of: "=") else { throw error }
      var hinted = error
      hinted.hint = "the model has no input \(KilnError.quoted(String(path[..<equals])))"
      throw hinted
    }
    return status.st_mode & S_IFMT == S_IFDIR
  }

  /// The pictures in a folder, by name.
  private static func images(in path: String) throws -> [String] {
    guard let folder = opendir(path) else { throw KilnError(.badInput, FileError.message("cannot be opened"), at: [path]) }
    defer { closedir(folder) }
    var files: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if [".png", ".jpg", ".jpeg"].contains(where: name.lowercased().hasSuffix), !name.hasPrefix(".") {
        files.append(path.hasSuffix("/") ? path + name : "\(path)/\(name)")
      }
    }
    guard !files.isEmpty else { throw KilnError(.badInput, "holds no .png or .jpg file", at: [path]) }
    return files.sorted()
  }
}
