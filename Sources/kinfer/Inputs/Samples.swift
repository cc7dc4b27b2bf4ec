import Kiln

/// The data of all inputs, handed out in batches: arrays lie in memory, pictures are decoded when their turn comes.
struct Samples {
  enum Source {
    case tensor(Tensor)
    case images([String], ImageReader)
    /// Files whose bytes are the samples of an input of strings.
    case files([String], TensorDescription)

    /// How many samples there are.
    var count: Int {
      switch self {
      case .tensor(let tensor): tensor.shape.first ?? 1
      case .images(let files, _), .files(let files, _): files.count
      }
    }
  }

  private static func texts(_ files: some Sequence<String>, _ input: TensorDescription) throws -> Tensor {
    let bytes = try files.map { path -> ByteString in
      let file = try MappedFile(path: path)
      guard file.bytes.count <= maximumFile else {
        throw KilnError(.badInput, "is \(file.bytes.count >> 20) MiB long; at most \(maximumFile >> 20) are read", at: [path])
      }
      return withExtendedLifetime(file) { ByteString(file.bytes) }
    }
    return try TextLines.tensor(bytes, for: input)
  }

  private static let maximumFile = 256 << 20

  /// One for each input of the model, in its order.
  let sources: [Source]
  /// What a sample is called in text and JSON: its picture's file name, or its index.
  let names: [String]

  var count: Int { names.count }

  /// - Throws: `KilnError` (`badInput`) when the inputs differ in their number of samples.
  init(_ sources: [Source], _ inputs: [TensorDescription]) throws {
    self.sources = sources
    let pairs = zip(sources, inputs)
    for (index, (source, input)) in pairs.enumerated() {
      guard let (first, other) = pairs.prefix(index).first(where: { $1.counted != nil && $1.counted == input.counted }), first.count != source.count
      else { continue }
      throw KilnError(
        .badInput,
        "input \(KilnError.quoted(input.name)) has \(source.count) samples, input \(KilnError.quoted(other.name)) has \(first.count)")
    }
    let count = pairs.first { $1.isBatched }?.0.count ?? sources.first?.count ?? 1
    var names = (0..<count).map(String.init)
    for source in sources {
      let files: [String]
      switch source {
      case .images(let paths, _), .files(let paths, _): files = paths
      case .tensor: continue
      }
      guard files.count == count else { continue }
      names = files.map { String($0.split(separator: "/").last ?? "") }
      break
    }
    self.names = names
  }

  /// The tensors of some samples, for a model whose inputs all count them.
  func batch(_ range: Range<Int>) throws -> [Tensor] {
    if range == 0..<count { return try all() }
    return try sources.map { source in
      switch source {
      case .tensor(let tensor): tensor.rows(range)
      case .images(let files, let reader): try reader.read(Array(files[range]))
      case .files(let files, let input): try Samples.texts(files[range], input)
      }
    }
  }

  /// The tensors of all samples.
  func all() throws -> [Tensor] {
    try sources.map { source in
      switch source {
      case .tensor(let tensor): tensor
      case .images(let files, let reader): try reader.read(files)
      case .files(let files, let input): try Samples.texts(files, input)
      }
    }
  }
}
