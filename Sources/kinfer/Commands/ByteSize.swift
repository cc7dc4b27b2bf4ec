import ArgumentParser

/// A number of bytes as people write it: `4096`, `300M`, `2G` (powers of 1024).
struct ByteSize: ExpressibleByArgument {
  let bytes: Int

  init?(argument: String) {
    let digits = argument.prefix { $0.isASCII && $0.isNumber }
    let shifts = ["": 0, "K": 10, "M": 20, "G": 30, "T": 40]
    guard let number = Int(digits), let shift = shifts[argument.dropFirst(digits.count).uppercased()],
      number > 0, number <= Int.max >> shift
    else { return nil }
    bytes = number << shift
  }
}
