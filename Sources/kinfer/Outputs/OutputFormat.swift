import ArgumentParser
import Kiln
import Training

/// The forms that results can take.
enum OutputFormat: String, CaseIterable, ExpressibleByArgument {
  case text, json, npy, npz

  /// Forms that `--format` offers; `.npz` is chosen by the file's name.
  static var allValueStrings: [String] { ["text", "json", "npy"] }

  /// The form for a file's name.
  init?(path: String) {
    let name = path.lowercased()
    guard let format = [OutputFormat.npz, .npy, .json].first(where: { name.hasSuffix("." + $0.rawValue) }) else { return nil }
    self = format
  }

  /// The form of the output: by the file's name, else by `--format`, else text.
  ///
  /// - Throws: `KilnError` (`usage`) when the two disagree.
  static func chosen(output: String?, format: OutputFormat?) throws -> OutputFormat {
    guard let output, output != "-", let named = OutputFormat(path: output) else { return format ?? .text }
    guard format == nil || format == named else {
      throw KilnError(.usage, "--format \(format?.rawValue ?? "") does not fit the file \(KilnError.quoted(output))")
    }
    return named
  }
}

extension ImageMode: ExpressibleByArgument {}
