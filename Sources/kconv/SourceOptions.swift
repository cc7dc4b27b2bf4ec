import ArgumentParser
import CommandSupport
import Kiln
import KilnImport

extension ImportOptions.Format: ExpressibleByArgument {}

/// How a foreign model file is read.
struct SourceOptions: ParsableArguments {
  @OptionGroup var origin: OriginOptions

  @Option(help: ArgumentHelp("The values that become the model's inputs.", valueName: "a,b"))
  var inputs: String?

  @Option(help: ArgumentHelp("The values that become the model's outputs.", valueName: "c,d"))
  var outputs: String?

  @Option(help: ArgumentHelp("The signature of a SavedModel; serving_default without it.", valueName: "name"))
  var signature: String?

  @Option(help: ArgumentHelp("The tags of a SavedModel's graph; serve without it.", valueName: "a,b"))
  var tag: String?

  @Option(help: "The file's format.")
  var format: ImportOptions.Format = .auto

  @Option(
    help: ArgumentHelp("The shape of an input, in place of the file's: 1,224,224,3; ? is any length.", valueName: "name=shape"))
  var inputShape: [String] = []

  @Option(
    help: ArgumentHelp(
      "What a Lambda layer, or a layer of an unknown class, computes: an expression over x such as 'x * 2 + 1'; repeatable.",
      valueName: "name=expr"))
  var replaceLayer: [String] = []

  @Flag(help: "Read tensors of an ONNX model that are in other files in its folder.")
  var allowExternalData = false

  func options() throws -> ImportOptions {
    var options = ImportOptions()
    options.signature = signature
    options.tags = SourceOptions.names(tag)
    options.format = format
    options.allowsExternalData = allowExternalData
    origin.apply(to: &options)
    options.inputs = SourceOptions.names(inputs)
    options.outputs = SourceOptions.names(outputs)
    for text in inputShape {
      guard let equals = text.lastIndex(of: "=") else {
        throw KilnError(.usage, "--input-shape \(KilnError.quoted(text)): expected NAME=1,224,224,3")
      }
      let shape = text[text.index(after: equals)...].split(separator: ",", omittingEmptySubsequences: false)
        .map { $0 == "?" ? nil : Int($0) ?? -1 }
      guard shape.count <= maximumRank, shape.allSatisfy({ $0.map { $0 > 0 && $0 <= 1 << 40 } ?? true }) else {
        throw KilnError(.usage, "--input-shape \(KilnError.quoted(text)): expected NAME=1,224,224,3")
      }
      options.inputShapes[String(text[..<equals])] = shape
    }
    options.replacements = try replaceLayer.map { text in
      guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
        throw KilnError(.usage, "--replace-layer \(KilnError.quoted(text)): expected NAME=EXPRESSION")
      }
      return (String(text[..<equals]), String(text[text.index(after: equals)...]))
    }
    return options
  }

  private static func names(_ list: String?) -> [String] {
    list.map { $0.split(separator: ",").map(String.init) } ?? []
  }
}

extension ModelImport.Isolation {
  /// A child that is this program again.
  static func ownChild() throws -> ModelImport.Isolation { .child(executable: try ExecutablePath.current()) }
}
