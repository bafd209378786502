// A stand-in for MongoDB, for tests on machines that have none: it speaks MongoDB's protocol to the real driver.
// Arguments: the port on 127.0.0.1, and a file to keep the data in; without one they are lost with the process.

import de.bwaldvogel.mongo.MongoBackend;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

public class MongoStandIn {
  // The driver talks to wire version 9 and above; the stand-in's own versions end at 8.
  private static final MongoVersion VERSION = new MongoVersion() {
    public List<Integer> getVersionArray() {
      return List.of(5, 0, 0);
    }

    public int getWireVersion() {
      return 13;
    }
  };

  public static void main(String[] arguments) {
    MongoBackend backend = arguments.length > 1 ? new H2Backend(arguments[1]) : new MemoryBackend();
    MongoServer server = new MongoServer(backend.version(VERSION));
    server.bind("127.0.0.1", Integer.parseInt(arguments[0]));
    System.out.println("listening");
  }
}
