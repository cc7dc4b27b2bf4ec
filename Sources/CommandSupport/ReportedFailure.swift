/// An error whose line is on stderr already; only the exit code is left.
package struct ReportedFailure: Error {
  package let exitCode: Int32

  package init(exitCode: Int32) { self.exitCode = exitCode }
}
