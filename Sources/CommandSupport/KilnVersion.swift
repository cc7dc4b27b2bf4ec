/// The version of the commands.
package enum KilnVersion {
  package static let text = "0.1.0"
}
