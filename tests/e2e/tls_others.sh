#!/bin/sh
# The command against the TLS of Java and Go, where they are: both versions, sessions resumed; Java
# also as a server that insists on extended master secret.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/e2e/lib.sh
. tests/tls/lib.sh
trust="--cacert $PKI/ca.crt"
seq 10 >"$dir/ten"
command -v java >/dev/null || command -v go >/dev/null ||
    { echo 'skipped: neither Java nor Go'; exit 77; }

# ten OPTION...: ten requests on ten connections, each a success; their bodies in $dir/bodies.
ten() {
    # shellcheck disable=SC2086
    "$SPARP" -q -R 0 -c 1 $trust -T "$here/{}" "$@" -o "$dir/many" "$dir/ten" 2>"$dir/errors"
    jq -r 'select(.outcome == "success") | .body' "$dir/many" >"$dir/bodies"
    [ "$(wc -l <"$dir/bodies")" -eq 10 ] || { cat "$dir/many" "$dir/errors"; return 1; }
}

# serve COMMAND...: a server that writes its port to $dir/port.
serve() {
    rm -f "$dir/port"
    "$@" >"$dir/log" 2>&1 </dev/null &
    servers="$servers $!"
    until_true [ -s "$dir/port" ] || { cat "$dir/log"; return 1; }
    here=https://localhost:$(cat "$dir/port")
}

# --- Java -----------------------------------------------------------------------------------------

cat >"$dir/Server.java" <<'JAVA'
import com.sun.net.httpserver.*;
import java.io.FileInputStream;
import java.net.InetSocketAddress;
import java.nio.file.*;
import java.security.KeyStore;
import java.util.concurrent.Executors;
import javax.net.ssl.*;

public class Server {
    public static void main(String[] args) throws Exception {
        char[] password = "secret".toCharArray();
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(new FileInputStream(args[0]), password);
        KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
        keys.init(store, password);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), null, null);
        HttpsServer server = HttpsServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        server.setHttpsConfigurator(new HttpsConfigurator(context) {
            public void configure(HttpsParameters parameters) {
                SSLParameters p = context.getDefaultSSLParameters();
                p.setProtocols(new String[] { args[2] });
                parameters.setSSLParameters(p);
            }
        });
        server.createContext("/", e -> {
            SSLSession s = ((HttpsExchange) e).getSSLSession();
            byte[] text = (s.getProtocol() + " " + s.getCreationTime()).getBytes();
            e.getRequestBody().readAllBytes();
            e.getResponseHeaders().set("Connection", "close");
            e.sendResponseHeaders(200, text.length);
            e.getResponseBody().write(text);
            e.close();
        });
        server.setExecutor(Executors.newFixedThreadPool(2));
        server.start();
        Files.writeString(Path.of(args[1] + ".new"), "" + server.getAddress().getPort());
        Files.move(Path.of(args[1] + ".new"), Path.of(args[1]));
        Thread.sleep(110000);
        System.exit(0);
    }
}
JAVA

if command -v javac >/dev/null; then
    openssl pkcs12 -export -in "$PKI/rsa.pem" -inkey "$PKI/rsa.key" -out "$dir/store" \
        -passout pass:secret -name server
    for version in 1.2 1.3; do
        serve java -Djdk.tls.allowLegacyMasterSecret=false -Djdk.tls.allowLegacyResumption=false \
            "$dir/Server.java" "$dir/store" "$dir/port" TLSv$version
        check "Java, $version, extended master secret or nothing: ten connections" ten
        check '... of that version' [ "$(grep -c "TLSv$version" "$dir/bodies")" -eq 10 ]
        check '... all of one session' [ "$(sort -u "$dir/bodies" | wc -l)" -eq 1 ]
    done
    stop_servers
else
    skip 'no Java'
fi

# --- Go -------------------------------------------------------------------------------------------

cat >"$dir/server.go" <<'GO'
package main

import (
    "crypto/tls"
    "fmt"
    "net"
    "net/http"
    "os"
    "time"
)

func main() {
    pair, err := tls.LoadX509KeyPair(os.Args[1]+".pem", os.Args[2]+".key")
    if err != nil {
        panic(err)
    }
    config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
    if os.Args[4] == "1.2" {
        config.MaxVersion = tls.VersionTLS12
    } else {
        config.MinVersion = tls.VersionTLS13
    }
    if len(os.Args) > 5 {
        config.CurvePreferences = []tls.CurveID{tls.CurveP384}
    }
    listener, err := net.Listen("tcp", "127.0.0.1:0")
    if err != nil {
        panic(err)
    }
    server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
        fmt.Fprintf(w, "%x %v %s", r.TLS.Version, r.TLS.DidResume, r.TLS.NegotiatedProtocol)
    })}
    server.SetKeepAlivesEnabled(false)
    os.WriteFile(os.Args[3]+".new", []byte(fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)), 0644)
    os.Rename(os.Args[3]+".new", os.Args[3])
    go func() { time.Sleep(110 * time.Second); os.Exit(0) }()
    server.Serve(tls.NewListener(listener, config))
}
GO

if command -v go >/dev/null && GO111MODULE=off GOFLAGS=-mod=mod GOCACHE="$dir/cache" \
    go build -o "$dir/go-server" "$dir/server.go" >"$dir/go.log" 2>&1; then
    for version in 1.2 1.3; do
        for kind in rsa:rsa p256:ec; do
            serve "$dir/go-server" "$PKI/${kind%:*}" "$PKI/${kind#*:}" "$dir/port" $version
            check "Go, $version, ${kind%:*}: ten connections" ten
            check '... nine resumed' [ "$(grep -c ' true http/1.1$' "$dir/bodies")" -eq 9 ]
        done
    done
    serve "$dir/go-server" "$PKI/p256" "$PKI/ec" "$dir/port" 1.3 P-384
    check 'Go, P-384 alone: ten connections' ten
    check '... nine resumed' [ "$(grep -c '^304 true' "$dir/bodies")" -eq 9 ]
else
    skip 'no Go'
fi
finish
