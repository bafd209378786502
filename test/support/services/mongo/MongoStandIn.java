// A stand-in for MongoDB, for tests on machines that have none: it speaks MongoDB's protocol to the real driver.
// Arguments: the port on 127.0.0.1; "--tls", a certificate and its key, both PEM, where it is to speak TLS; and a file to keep the data in, without
// which they are lost with the process. It knows no users, and asks for no certificates.

import de.bwaldvogel.mongo.MongoBackend;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
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

  public static void main(String[] arguments) throws Exception {
    boolean secured = arguments.length > 1 && arguments[1].equals("--tls");
    int file = secured ? 4 : 1;
    MongoBackend backend = arguments.length > file ? new H2Backend(arguments[file]) : new MemoryBackend();
    MongoServer server = new MongoServer(backend.version(VERSION));
    if (secured) server.enableSsl(key(arguments[3]), null, certificate(arguments[2]));
    server.bind("127.0.0.1", Integer.parseInt(arguments[0]));
    System.out.println("listening");
  }

  private static X509Certificate certificate(String path) throws Exception {
    byte[] pem = Files.readAllBytes(Path.of(path));
    return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(pem));
  }

  /** An elliptic curve's, as PKCS #8. */
  private static PrivateKey key(String path) throws Exception {
    String base64 = Files.readString(Path.of(path)).replaceAll("-----[^-]+-----|\\s", "");
    return KeyFactory.getInstance("EC").generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(base64)));
  }
}
