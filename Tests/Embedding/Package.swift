// swift-tools-version: 6.2
import PackageDescription

// What a package of a user of Kiln looks like.
let package = Package(
  name: "Embedding",
  dependencies: [.package(name: "Kiln", path: "../..")],
  targets: [.executableTarget(name: "predict", dependencies: [.product(name: "Kiln", package: "Kiln")])],
  swiftLanguageModes: [.v6]
)
