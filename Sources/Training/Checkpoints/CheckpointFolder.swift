import TensorModule

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The folder of `--checkpoint`: `last.safetensors`, and `best.safetensors` once an epoch was the best.
///
/// A file is whole at any moment: it is written under another name, flushed to the disk, renamed. One training uses the
/// folder at a time.
package final class CheckpointFolder {
  package let path: String
  private let run: TrainingRun
  private let lock: Int32

  private var last: String { "\(path)/last.safetensors" }
  private var best: String { "\(path)/best.safetensors" }

  /// - Parameter run: what this training was begun with.
  /// - Throws: `KilnError` (`failed`) when the folder cannot be written or another training uses it.
  package init(_ path: String, run: TrainingRun) throws {
    try FolderMaking.make(path)
    let file = "\(path)/.lock"
    let descriptor = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw KilnError(.failed, FileError.message("cannot be written"), at: [file]) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw KilnError(.failed, "is in use by another training", at: [path])
    }
    (self.path, self.run, lock) = (path, run, descriptor)
    removeLeftovers()
  }

  deinit {
    // Closing alone would leave the lock to a child process that is between its fork and its exec.
    flock(lock, LOCK_UN)
    close(lock)
  }

  /// What a killed training had half written.
  private func removeLeftovers() {
    for entry in (try? FolderListing.entries(path)) ?? [] where entry.name.contains(".safetensors.tmp-") { unlink("\(path)/\(entry.name)") }
  }

  /// Keeps a checkpoint as the last one, and as the best one too when it is. The best one is written first: a training that is
  /// killed between the two goes on from the one before and finds the same best again.
  ///
  /// - Throws: `KilnError` (`failed`) when it cannot be written; the one before it stays.
  package func save(_ checkpoint: TrainingCheckpoint, isBest: Bool = false) throws {
    if isBest { try checkpoint.save(to: best, run: run) }
    // The same bytes under another name, where the file system has such links.
    let temporary = "\(last).tmp-link"
    unlink(temporary)
    if !isBest || link(best, temporary) != 0 || rename(temporary, last) != 0 {
      unlink(temporary)
      try checkpoint.save(to: last, run: run)
    }
    let folder = open(path, O_RDONLY | O_CLOEXEC)
    if folder >= 0 {
      fsync(folder)
      close(folder)
    }
  }

  /// Whether there is a checkpoint to go on from.
  package var hasLast: Bool { FileStatus.exists(last) }

  /// Removes the checkpoints of an earlier training.
  package func clear() {
    unlink(last)
    unlink(best)
  }

  /// The last checkpoint; nil when there is none.
  ///
  /// - Throws: `KilnError`: `badInput` when it is damaged, `usage` when it belongs to a training with other settings.
  package func loadLast() throws -> TrainingCheckpoint? { try load(last) }

  /// The best checkpoint; nil when there is none.
  package func loadBest() throws -> TrainingCheckpoint? { try load(best) }

  private func load(_ file: String) throws -> TrainingCheckpoint? {
    guard FileStatus.exists(file) else { return nil }
    let (checkpoint, run) = try TrainingCheckpoint.load(file)
    do { try self.run.check(against: run) } catch let error as KilnError { throw error.inside(file) }
    return checkpoint
  }
}
