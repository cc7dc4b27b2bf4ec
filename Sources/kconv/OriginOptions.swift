import ArgumentParser
import KilnImport

extension ImportOptions.Backend: ExpressibleByArgument {}
extension DataFormat: ExpressibleByArgument {}

/// What a file does not say by itself and the caller knows.
struct OriginOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The architecture (JSON or YAML) of a file that holds only weights.", valueName: "file"))
  var architecture: String?

  @Option(help: "The backend of Keras 1 or 2, for a file that does not say it.")
  var backend: ImportOptions.Backend?

  @Option(help: "The order of image axes, for Keras layers that do not say it.")
  var dataFormat: DataFormat?

  func apply(to options: inout ImportOptions) {
    options.architecture = architecture
    options.backend = backend
    options.dataFormat = dataFormat
  }
}
