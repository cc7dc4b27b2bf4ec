import GraphModule
import Testing

/// Names of devices, and when two of them may be one.
@Suite struct DeviceNameTests {
  @Test(arguments: [
    ("/job:localhost/replica:0/task:0/device:GPU:1", "GPU", 1), ("/device:CPU:0", "CPU", 0), ("/gpu:3", "GPU", 3), ("/cpu:*", "CPU", nil),
    ("cpu", "CPU", nil), ("/job:worker/TPU:0", "TPU", 0),
  ] as [(String, String, Int?)])
  func parses(_ text: String, _ kind: String, _ index: Int?) throws {
    let name = try #require(DeviceName(text))
    #expect(name.kind == kind)
    #expect(name.index == index)
  }

  @Test(arguments: ["", "/job:ps/task:1", "/replica:0", "/device", "/", "*"]) func namesNoKind(_ text: String) {
    #expect(DeviceName(text) == nil)
  }

  @Test func agreement() {
    #expect(DeviceName.agree("", "/gpu:0"))
    #expect(DeviceName.agree("/gpu:*", "/device:GPU:1"))
    #expect(DeviceName.agree("/job:a/device:GPU:1", "/gpu:1"))
    #expect(!DeviceName.agree("/gpu:0", "/gpu:1"))
    #expect(!DeviceName.agree("/cpu:0", "/gpu:0"))
  }
}
