-- What code written for aos, such as its console, finds of the process itself.
return { _version = "2.0.6" }
