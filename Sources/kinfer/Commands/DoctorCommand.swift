import ArgumentParser
import CImages
import CommandSupport
import Kiln

struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "Prints what this machine and this build have: instruction set, kernels, libraries, settings.")

  func run() throws {
    let report = doctor()
    var facts = [
      ("kiln", KilnVersion.text), ("instruction set", report.instructionSet), ("threads", String(report.threads)),
      ("blas", (report.blas ?? "none") + (report.usesBLAS ? "" : " (dense products take Kiln's own kernels)")),
      ("fast kernels", report.kernels.joined(separator: " ")),
      ("libpng", DoctorCommand.version(kiln_png_version())), ("libjpeg", DoctorCommand.version(kiln_jpeg_version())),
    ]
    facts += report.gpuDevices.map { ("gpu device", $0) } + [("gpu kernels", report.gpuKernels.joined(separator: " "))]
    for (name, effect) in report.environment + DoctorCommand.environment {
      facts.append((name, (Console.variable(name) ?? "unset") + " (\(effect))"))
    }
    let width = facts.map(\.0.count).max() ?? 0
    for (name, value) in facts {
      try Console.write(name + String(repeating: " ", count: width - name.count) + "  \(value)\n")
    }
  }

  private static func version(_ text: UnsafePointer<CChar>?) -> String { text.map { String(cString: $0) } ?? "not found" }

  private static let environment = [
    (name: "KILN_DEVICE", effect: "where models run without --device: cpu, gpu or auto; unset, on a GPU what is worth it"),
    (name: "XDG_CACHE_HOME", effect: "imported models are kept in its folder kiln; ~/.cache/kiln when unset"),
    (name: "NO_COLOR", effect: "no colour on a terminal"),
  ]
}
