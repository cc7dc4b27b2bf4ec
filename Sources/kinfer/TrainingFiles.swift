import CommandSupport
import Kiln
import TensorModule

/// The files of a training: `kconv` reads the model and writes the tuned one in formats of Keras.
struct TrainingFiles {
  /// For files in between.
  let folder: String

  /// A `.kiln` for training of any file of Keras, or of a `.kiln` of one.
  ///
  /// - Parameters:
  ///   - newHead: an output for so many other classes first.
  ///   - loss: an expression that becomes the loss.
  func imported(_ path: String, newHead: Int?, seed: Int, loss: String? = nil) throws -> String {
    var source = path
    if let newHead {
      source = folder + "/source.keras"
      try convert(["export", path, "--output", source, "--no-check", "--new-head", "\(newHead)", "--head-seed", "\(seed)", "--program-name", "kinfer"])
    } else if let file = try? MappedFile(path: path), Model.isModelFile(file.bytes) {
      source = folder + "/source.keras"
      try convert(["export", path, "--output", source, "--no-check", "--program-name", "kinfer"])
    }
    let target = folder + "/training.kiln"
    try convert(["import", source, "--output", target, "--force", "--quiet", "--for-training", "--program-name", "kinfer"] + (loss.map { ["--loss", $0] } ?? []))
    return target
  }

  func write(_ tuning: FineTuning, to path: String, force: Bool) throws {
    if path.hasSuffix(".kiln") {
      let temporary = "\(path).tmp-\(getpid())"
      do { try tuning.save(to: temporary) } catch {
        unlink(temporary)
        guard let known = error as? KilnError, known.path == [temporary] else { throw error }
        throw KilnError(known.code, known.message, at: [path], hint: known.hint)
      }
      guard rename(temporary, path) == 0 else { throw KilnError(.failed, FileError.message("cannot be written"), at: [path]) }
      return
    }
    let tuned = folder + "/tuned.kiln"
    try tuning.save(to: tuned)
    try convert(["export", tuned, "--output", path, "--program-name", "kinfer"] + (force ? ["--force"] : []))
  }

  private func convert(_ arguments: [String]) throws {
    let kconv = try ModelLocator.importer()
    let status = try Interruption.deferring { try Subprocess.run(kconv, arguments) }
    if status != 0 { throw ReportedFailure(exitCode: status) }
  }
}

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif
