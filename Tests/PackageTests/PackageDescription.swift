import Foundation

/// The root of the package, from where this file lies.
let packageRoot = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// The part of `swift package dump-package` that the tests look at.
struct PackageDescription: Decodable {
  struct Target: Decodable {
    let name: String
    let type: String
    let dependencies: [Dependency]
  }

  /// `{"byName": ["Kiln", null]}` or `{"product": ["ArgumentParser", "swift-argument-parser", …]}`.
  struct Dependency: Decodable {
    let name: String

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer().decode([String: [Anything]].self)
      guard case .text(let name)? = container.values.first?.first else {
        throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "a dependency without a name"))
      }
      self.name = name
    }
  }

  enum Anything: Decodable {
    case text(String), other

    init(from decoder: any Decoder) throws {
      self = (try? decoder.singleValueContainer().decode(String.self)).map(Anything.text) ?? .other
    }
  }

  let targets: [Target]

  /// Reads what `scripts/test` wrote. SwiftPM cannot be asked from inside a test: it holds its lock.
  static func load() throws -> PackageDescription {
    let path = ProcessInfo.processInfo.environment["KILN_PACKAGE_DESCRIPTION"]
    let file = path.map { URL(filePath: $0) } ?? packageRoot.appending(path: ".build/package.json")
    return try JSONDecoder().decode(PackageDescription.self, from: Data(contentsOf: file))
  }
}
