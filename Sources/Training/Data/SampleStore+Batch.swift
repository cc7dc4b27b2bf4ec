import TensorModule

/// What a batch is made with besides its samples.
struct BatchSettings: Sendable {
  var seed: UInt64 = 0
  var epoch = 0
  var augmentation: Augmentation?
  /// A weight for each class.
  var classWeights: [Float]?
}

extension SampleStore {
  /// The samples of a batch.
  ///
  /// - Parameter unreadable: called with a sample whose picture cannot be read and why: it is left out, unless this throws.
  /// - Returns: nil when no sample can be read.
  func batch(_ samples: [Int], _ settings: BatchSettings, unreadable: (Int, KilnError) throws -> Void) throws -> Batch? {
    var kept = samples
    var tensors: [String: Tensor] = [:]
    for (index, input) in inputs.enumerated() {
      guard case .pictures(let sources, let form) = input.column else { continue }
      var read: [Int] = []
      let whole = try Tensor(dtype: .float32, shape: [kept.count] + form.shape, zeroed: false) { memory in
        let size = form.shape.elementCount * 4
        guard let base = memory.baseAddress else { return }
        for sample in kept {
          let augment = settings.augmentation?.drawn(seed: settings.seed, epoch: settings.epoch, sample: sample)
          do {
            try sources[sample].withBytes { try form.write($0, to: base + read.count * size, augment) }
            read.append(sample)
          } catch let error as KilnError {
            guard error.code == .badInput else { throw error }
            try unreadable(sample, error)
          }
        }
      }
      tensors[inputs[index].form.name] = whole.keepingRows(read.count)
      // An earlier input of pictures has rows for samples that this one lacks.
      guard read.count == kept.count || tensors.count == 1 else { return try batch(read, settings, unreadable: unreadable) }
      kept = read
    }
    if kept.isEmpty { return nil }
    for (index, input) in inputs.enumerated() {
      guard case .array(let tensor) = input.column else { continue }
      tensors[input.form.name] = try rows(of: tensor, index, kept, settings)
    }
    var batch = Batch(count: kept.count, inputs: tensors)
    for target in targets { batch.targets[target.target.name] = try rows(of: target, kept) }
    batch.sampleWeights = try weights(kept, settings)
    return batch
  }

  /// Whether the pictures of a sample can be read.
  func isReadable(_ sample: Int) -> Bool {
    for input in inputs {
      guard case .pictures(let sources, let form) = input.column else { continue }
      do {
        try sources[sample].withBytes { _ = try PictureFile($0, channels: form.channels, manner: .tensorFlow) }
      } catch { return false }
    }
    return true
  }

  private func rows(of tensor: Tensor, _ index: Int, _ samples: [Int], _ settings: BatchSettings) throws -> Tensor {
    let inner = Array(tensor.shape.dropFirst())
    if tensor.dtype == .string {
      let size = inner.elementCount
      return Tensor(strings: samples.flatMap { tensor.strings[$0 * size..<($0 + 1) * size] }, shape: [samples.count] + inner)
    }
    let dtype = inputs[index].form.dtype
    let size = inner.elementCount * dtype.byteCount
    return try Tensor(dtype: dtype, shape: [samples.count] + inner, zeroed: false) { memory in
      guard let base = memory.baseAddress else { return }
      for (row, sample) in samples.enumerated() {
        RowCopy.copy(tensor, row: sample, to: base + row * size, as: dtype)
        guard let augmentation = settings.augmentation, let range = ranges[index], let layout = SampleStore.pictureLayout(inner) else { continue }
        let drawn = augmentation.drawn(seed: settings.seed, epoch: settings.epoch, sample: sample)
        let floats = UnsafeMutableBufferPointer(start: (base + row * size).assumingMemoryBound(to: Float.self), count: inner.elementCount)
        var pixels = layout.isChannelsFirst ? Resampling.channelsLast(floats, channels: layout.channels) : Array(floats)
        drawn.apply(&pixels, height: layout.height, width: layout.width, channels: layout.channels, range: range)
        if layout.isChannelsFirst { pixels = Resampling.channelsFirst(pixels, channels: layout.channels) }
        _ = floats.update(fromContentsOf: pixels)
      }
    }
  }

  private func rows(of target: TargetColumn, _ samples: [Int]) throws -> Tensor {
    let size = target.rowShape.elementCount * target.dtype.byteCount
    return try Tensor(dtype: target.dtype, shape: [samples.count] + target.rowShape) { memory in
      guard let base = memory.baseAddress else { return }
      for (row, sample) in samples.enumerated() { target.write(sample, to: base + row * size) }
    }
  }

  /// The data's own weights times those of the classes.
  private func weights(_ samples: [Int], _ settings: BatchSettings) throws -> [String: Tensor] {
    var found: [String: Tensor] = [:]
    for target in targets {
      let own = weights[target.target.name]
      let classes = settings.classWeights != nil && target.labelCount == settings.classWeights?.count ? settings.classWeights : nil
      guard own != nil || classes != nil else { continue }
      let ownValues = own?.floats
      let inner = Array(own?.shape.dropFirst() ?? [])
      let size = inner.elementCount
      let values = samples.flatMap { sample in
        let factor = classes.flatMap { weights in target.label(sample).map { weights[$0] } } ?? 1
        return (0..<size).map { place in (ownValues.map { $0[sample * size + place] } ?? 1) * factor }
      }
      found[target.target.name] = try Tensor(values, shape: [samples.count] + inner)
    }
    return found
  }
}

extension Tensor {
  /// The first rows.
  fileprivate func keepingRows(_ count: Int) -> Tensor {
    if shape.first == count { return self }
    return Tensor(dtype: dtype, shape: [count] + shape.dropFirst(), address: address, owner: self)
  }
}
