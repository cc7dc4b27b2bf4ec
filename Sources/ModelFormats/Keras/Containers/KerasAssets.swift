import TensorModule

/// The text files that lookup layers keep beside their weights: `vocabulary.txt`.
struct KerasAssets {
  private let archive: ZipArchive?
  private let folder: String

  /// The largest asset that is read.
  private static let maximumSize = 256 << 20

  /// No assets.
  init() {
    archive = nil
    folder = ""
  }

  /// The assets in a `.keras` archive.
  init(_ archive: ZipArchive) {
    self.archive = archive
    folder = "assets"
  }

  /// The assets of one object: `assets/layers/string_lookup`.
  init(_ whole: KerasAssets, in path: String) {
    archive = whole.archive
    folder = "\(whole.folder)/\(path)"
  }

  /// The text of an asset; nil when there is none of that name.
  ///
  /// - Throws: `KilnError` (`badInput`) when it is damaged, too large or not UTF-8.
  func text(_ name: String) throws -> String? {
    let place = "\(folder)/\(name)"
    guard let archive, let member = archive.member(named: place) else { return nil }
    let bytes = try archive.contents(of: member, limit: KerasAssets.maximumSize)
    guard let text = String(validating: bytes, as: UTF8.self) else { throw KilnError(.badInput, "is not UTF-8", at: [place]) }
    return text
  }

  /// Every asset of the archive by its member's name.
  ///
  /// - Throws: as `text`.
  func all() throws -> [(name: String, text: String)] {
    guard let archive else { return [] }
    return try archive.members.filter { $0.name.hasPrefix("assets/") && !$0.name.hasSuffix("/") }.map { member in
      let bytes = try archive.contents(of: member, limit: KerasAssets.maximumSize)
      guard let text = String(validating: bytes, as: UTF8.self) else { throw KilnError(.badInput, "is not UTF-8", at: [member.name]) }
      return (member.name, text)
    }
  }
}
