import GraphModule
import TensorModule

extension FunctionCatalog {
  /// Functions of images and windows.
  static let images: [String: Meaning] = [
    "resize": { call in
      var x = try call.tensor(0, "images", "image")
      guard var size = try call.ints("size"), size.count == 2, size.allSatisfy({ (1...1 << 20).contains($0) }) else {
        throw call.wrong("size must be two lengths")
      }
      let name = try call.string("method", "interpolation") ?? "bilinear"
      guard let interpolation = Interpolation(rawValue: name.lowercased()) else {
        throw call.unsupported("interpolation \(KilnError.quoted(name))")
      }
      let format: DataFormat = try call.string("data_format") == "channels_first" ? .channelsFirst : .channelsLast
      let single = call.rank(x) == 3
      if single { x = try call.layer.expand(x, axis: 0) }
      guard call.rank(x) == 4 else { throw call.wrong("needs images, found \(call.type(x).message)") }
      // The nearest pixel keeps the dtype; Keras rounds and casts back what is interpolated, TensorFlow gives floats.
      if interpolation != .nearest, call.isKeras, !call.dtype(of: x).isFloat {
        throw call.unsupported("interpolation of \(call.dtype(of: x).name)")
      }
      if interpolation != .nearest { x = try call.float(x) }
      x = try call.layer.channelsLast(x, format)
      if try call.bool("preserve_aspect_ratio") == true {
        let (rows, columns) = (try call.length(x, 1), try call.length(x, 2))
        let scale = min(Float(size[0]) / Float(rows), Float(size[1]) / Float(columns))
        size = [Int((Float(rows) * scale).rounded(.toNearestOrEven)), Int((Float(columns) * scale).rounded(.toNearestOrEven))]
      }
      let frame = ImageFrame(height: size[0], width: size[1])
      if try call.bool("crop_to_aspect_ratio") == true { x = try frame.croppedToAspect(call.layer, x) }
      let fill = try call.double("fill_value") ?? 0
      if try call.bool("pad_to_aspect_ratio") == true { x = try frame.paddedToAspect(call.layer, x, value: fill) }
      call.ignore("fill_mode")
      let resized = try frame.resized(call.layer, x, interpolation, antialias: try call.bool("antialias") ?? false)
      let result = try call.layer.back(resized, format)
      return [single ? try call.dropped(result, axis: 0) : result]
    },
    "depth_to_space": { try blocks($0, toSpace: true) },
    "space_to_depth": { try blocks($0, toSpace: false) },
    "max_pool": { try pool($0, .max) },
    "average_pool": { try pool($0, .average) },
  ]

  static func format(_ call: FunctionCall) throws -> DataFormat {
    switch try call.string("data_format") {
    case nil, "channels_last", "NHWC", "NWC", "NDHWC": return .channelsLast
    case "channels_first", "NCHW", "NCW", "NCDHW": return .channelsFirst
    case let name?: throw call.unsupported("data_format \(KilnError.quoted(name))")
    }
  }

  static func padding(_ call: FunctionCall) throws -> Padding {
    switch (try call.string("padding") ?? "valid").lowercased() {
    case "valid": return .valid
    case "same": return .same
    case let name: throw call.unsupported("padding \(KilnError.quoted(name))")
    }
  }

  /// One number for each spatial axis; lists of TensorFlow may name the batch and channels too.
  static func spatial(_ call: FunctionCall, _ name: String, _ rank: Int) throws -> [Int]? {
    guard let json = try call.json(name) else { return nil }
    var numbers = try call.integers(json, name)
    if numbers.count == 1 { numbers = [Int](repeating: numbers[0], count: rank) }
    if numbers.count == rank + 2 { numbers = Array(numbers[1...rank]) }
    guard numbers.count == rank, numbers.allSatisfy({ $0 >= 1 }) else { throw call.wrong("\(name) must be \(rank) numbers") }
    return numbers
  }

  static func pool(_ call: FunctionCall, _ kind: Pool.Kind) throws -> [ValueID] {
    let x = try call.tensor(0, "inputs", "input", "value")
    let rank = call.type(x).rank - 2
    guard (1...3).contains(rank) else { throw call.wrong("needs rank 3 to 5, found \(call.type(x).message)") }
    let format = try format(call)
    let last = try call.layer.channelsLast(kind == .average ? try call.float(x) : x, format)
    guard let window = try spatial(call, call.isKeras ? "pool_size" : "ksize", rank) else {
      throw call.wrong("the window is missing")
    }
    let strides = try spatial(call, "strides", rank) ?? window
    let op = Pool(kind, window: window, strides: strides, padding: try padding(call))
    return [try call.layer.back(try call.layer.add(op, [last], "pool"), format)]
  }

  /// TensorFlow's blocks: the channels of a pixel are (block row, block column, channel).
  private static func blocks(_ call: FunctionCall, toSpace: Bool) throws -> [ValueID] {
    let x = try call.tensor(0, "x", "input")
    guard let size = try call.int("block_size"), (2...4096).contains(size) else { throw call.wrong("block_size must be 2 or more") }
    let format = try format(call)
    let value = try call.layer.channelsLast(x, format)
    let dims = call.type(value).dims
    guard dims.count == 4 else { throw call.wrong("needs images, found \(call.type(x).message)") }
    let block = Dim(size)
    let result: ValueID
    if toSpace {
      let channels = try call.length(value, 3)
      guard channels % (size * size) == 0 else { throw call.wrong("\(channels) channels do not split in \(size) x \(size)") }
      let depth = Dim(channels / (size * size))
      let split = try call.layer.reshape(value, [dims[0], dims[1], dims[2], block, block, depth])
      let moved = try call.layer.transpose(split, [0, 1, 3, 2, 4, 5])
      result = try call.layer.reshape(moved, [dims[0], dims[1] * block, dims[2] * block, depth])
    } else {
      let (height, width) = (dims[1].floorDivided(by: size), dims[2].floorDivided(by: size))
      guard height * block == dims[1], width * block == dims[2] else { throw call.wrong("\(call.type(x).message) does not split in blocks of \(size)") }
      let split = try call.layer.reshape(value, [dims[0], height, block, width, block, dims[3]])
      let moved = try call.layer.transpose(split, [0, 1, 3, 2, 4, 5])
      result = try call.layer.reshape(moved, [dims[0], height, width, block * block * dims[3]])
    }
    return [try call.layer.back(result, format)]
  }
}
