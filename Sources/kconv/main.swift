print("kconv")
