// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Kiln",
  products: [
    .library(name: "Kiln", targets: ["Kiln"]),
    .library(name: "KilnImport", targets: ["KilnImport"]),
    .executable(name: "kconv", targets: ["kconv"]),
    .executable(name: "kinfer", targets: ["kinfer"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
  ],
  targets: [
    // System libraries and C.
    .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"]), .brew(["hdf5"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(
      name: "CProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"]), .brew(["protobuf-c"])]),
    .target(name: "CGraphSchemas", dependencies: ["CProtobufC"], exclude: ["onnx.proto", "tensorflow.proto"]),
    .target(name: "CImages", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux])), .linkedLibrary("pthread")]),
    .target(name: "CKernels", linkerSettings: [.linkedLibrary("m"), .linkedLibrary("pthread")]),
    .target(name: "COpenCL", linkerSettings: [.linkedLibrary("dl", .when(platforms: [.linux]))]),

    // The graph and what works on it.
    .target(name: "TensorModule", dependencies: ["CZlib"]),
    .target(name: "GraphModule", dependencies: ["TensorModule", "CImages"]),
    .target(name: "GraphOptimizer", dependencies: ["GraphModule"]),
    .target(name: "ModelFile", dependencies: ["GraphModule"]),
    .target(
      name: "ModelFormats",
      dependencies: ["GraphModule", "CHDF5", "CGraphSchemas", .product(name: "Yams", package: "Yams")]),
    .target(name: "InferenceRuntime", dependencies: ["GraphOptimizer", "CKernels"]),

    .target(name: "GPURuntime", dependencies: ["InferenceRuntime", "COpenCL"]),
    .target(name: "Training", dependencies: ["InferenceRuntime"]),

    // The faces.
    .target(name: "Kiln", dependencies: ["InferenceRuntime", "GPURuntime", "ModelFile", "Training"]),
    .target(name: "KilnImport", dependencies: ["ModelFormats", "ModelFile", "GraphOptimizer"]),

    // The commands.
    .target(
      name: "CommandSupport",
      dependencies: ["TensorModule", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
    .executableTarget(
      name: "kconv",
      dependencies: [
        "KilnImport", "Kiln", "CommandSupport", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(
      name: "kinfer",
      dependencies: [
        "Kiln", "CImages", "CommandSupport", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      // Swift's libraries linked in: a quarter less time and memory to start. Test bundles must not depend on this target, lest they
      // get the flags too.
      linkerSettings: [
        .unsafeFlags(["-static-stdlib", "-l_FoundationCollections", "-l_FoundationCShims"], .when(platforms: [.linux], configuration: .release))
      ]),

    // Tests.
    .target(name: "TestSupport", dependencies: ["TensorModule"], path: "Tests/TestSupport"),
    .target(name: "GraphTestSupport", dependencies: ["GraphModule", "TestSupport"], path: "Tests/GraphTestSupport"),
    .target(name: "MallocCount", path: "Tests/MallocCount"),
    .testTarget(name: "TensorModuleTests", dependencies: ["TensorModule", "TestSupport"]),
    .testTarget(name: "GraphModuleTests", dependencies: ["GraphModule", "TestSupport"]),
    .testTarget(name: "GraphOptimizerTests", dependencies: ["GraphOptimizer", "TestSupport"]),
    .testTarget(name: "ModelFileTests", dependencies: ["ModelFile", "TestSupport"]),
    .testTarget(name: "ModelFormatsTests", dependencies: ["KilnImport", "Kiln", "TestSupport"]),
    .testTarget(name: "InferenceRuntimeTests", dependencies: ["InferenceRuntime", "MallocCount", "GraphTestSupport", "TestSupport"]),
    .testTarget(name: "GPURuntimeTests", dependencies: ["GPURuntime", "COpenCL", "MallocCount", "GraphTestSupport", "TestSupport"]),
    .executableTarget(name: "CheckpointHarness", dependencies: ["Training"], path: "Tests/CheckpointHarness"),
    .testTarget(name: "TrainingTests", dependencies: ["Training", "MallocCount", "TestSupport", "CheckpointHarness"]),
    .testTarget(name: "KilnTests", dependencies: ["Kiln", "MallocCount", "TestSupport"]),
    .testTarget(name: "KernelTests", dependencies: ["CKernels", "TestSupport"]),
    .testTarget(name: "CommandTests", dependencies: ["CommandSupport", "TensorModule", "TestSupport", "kconv"]),
    .testTarget(name: "PackageTests"),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c11
)
