"""How a server of Apache Ignite is started: on loopback, in memory and a cluster of its own unless told otherwise."""

import os
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..engines.ignite.frames import Failed, Frames, Operation, cache_id, handshake, plain, request
from .client import dial, receive

FOLDER_VARIABLE = "DCACHE_IGNITE"
HOW_TO_GET = (
    f"{FOLDER_VARIABLE} has to name a folder with ignite-core 2.17 and ignite-spring 2.17 (`libs` of Ignite's binary"
    " distribution, or what `mvn dependency:copy-dependencies` fetches for ignite-spring)"
)
HEAP_MEGABYTES, DIRECT_MEGABYTES = 256, 1024
STARTUP = 120.0  # seconds; it takes about three
_CHANGE_STATE, _ACTIVE = 5001, b"\x01"
_ALL = b"\x00" * 4
_OPENED = {
    "java.base": (
        "java.io java.lang java.lang.invoke java.lang.reflect java.math java.net java.nio java.text java.time java.util"
        " java.util.concurrent java.util.concurrent.atomic java.util.concurrent.locks jdk.internal.access"
        " jdk.internal.misc sun.nio.ch sun.reflect.generics.reflectiveObjects sun.util.calendar"
    ),
    "java.management": "com.sun.jmx.mbeanserver sun.management",
    "jdk.internal.jvmstat": "sun.jvmstat.monitor",
    "jdk.management": "com.sun.management.internal",
}
"""The packages of a Java since 17 that Ignite looks into."""
_CONFIGURATION = """<?xml version="1.0" encoding="UTF-8"?>
<beans xmlns="http://www.springframework.org/schema/beans" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:schemaLocation="http://www.springframework.org/schema/beans
 http://www.springframework.org/schema/beans/spring-beans.xsd">
<bean class="org.apache.ignite.configuration.IgniteConfiguration">
 <property name="igniteInstanceName" value="node{port}"/>
 <property name="localHost" value="127.0.0.1"/>
 <property name="workDirectory" value="{folder}"/>
 <property name="metricsLogFrequency" value="0"/>
 <property name="publicThreadPoolSize" value="2"/>
 <property name="systemThreadPoolSize" value="4"/>
 <property name="stripedPoolSize" value="2"/>
 <property name="dataStreamerThreadPoolSize" value="1"/>
 <property name="queryThreadPoolSize" value="2"/>
 <property name="rebalanceThreadPoolSize" value="1"/>
 <property name="authenticationEnabled" value="{login}"/>
 <property name="clusterStateOnStart" value="ACTIVE"/>
 <property name="connectorConfiguration"><null/></property>
 <property name="cacheConfiguration">
  <bean class="org.apache.ignite.configuration.CacheConfiguration">
   <property name="name" value="{cache}"/>
   {copies}
   <property name="affinity">
    <bean class="org.apache.ignite.cache.affinity.rendezvous.RendezvousAffinityFunction">
     <property name="partitions" value="16"/>
    </bean>
   </property>
  </bean>
 </property>
 <property name="failureDetectionTimeout" value="2000"/>
 <property name="discoverySpi">
  {discovery}
 </property>
 <property name="communicationSpi">
  <bean class="org.apache.ignite.spi.communication.tcp.TcpCommunicationSpi">
   <property name="localPort" value="{peer_port}"/>
   <property name="localPortRange" value="0"/>
  </bean>
 </property>
 <property name="clientConnectorConfiguration">
  <bean class="org.apache.ignite.configuration.ClientConnectorConfiguration">
   <property name="host" value="127.0.0.1"/>
   <property name="port" value="{port}"/>
   <property name="portRange" value="0"/>
   <property name="threadPoolSize" value="4"/>
   <property name="jdbcEnabled" value="false"/>
   <property name="odbcEnabled" value="false"/>
   {tls}
  </bean>
 </property>
 <property name="dataStorageConfiguration">
  <bean class="org.apache.ignite.configuration.DataStorageConfiguration">
   <property name="walSegments" value="3"/>
   <property name="walSegmentSize" value="8388608"/>
   <property name="systemDataRegionConfiguration">
    <bean class="org.apache.ignite.configuration.SystemDataRegionConfiguration">
     <property name="initialSize" value="10485760"/>
     <property name="maxSize" value="41943040"/>
    </bean>
   </property>
   <property name="defaultDataRegionConfiguration">
    <bean class="org.apache.ignite.configuration.DataRegionConfiguration">
     <property name="initialSize" value="{bytes}"/>
     <property name="maxSize" value="{bytes}"/>
     <property name="persistenceEnabled" value="{disk}"/>
     {eviction}
    </bean>
   </property>
  </bean>
 </property>
</bean>
</beans>
"""
_EVICTION = '<property name="pageEvictionMode" value="RANDOM_2_LRU"/>'
_ALONE = '<bean class="org.apache.ignite.spi.discovery.isolated.IsolatedDiscoverySpi"/>'
_TOGETHER = """<bean class="org.apache.ignite.spi.discovery.tcp.TcpDiscoverySpi">
   <property name="localPort" value="{own}"/>
   <property name="localPortRange" value="0"/>
   <property name="ipFinder">
    <bean class="org.apache.ignite.spi.discovery.tcp.ipfinder.vm.TcpDiscoveryVmIpFinder">
     <property name="addresses"><list>{all}</list></property>
    </bean>
   </property>
  </bean>"""
_COPIES = """<property name="backups" value="1"/>
   <property name="writeSynchronizationMode" value="{mode}"/>"""
_TLS = """<property name="sslEnabled" value="true"/>
   <property name="useIgniteSslContextFactory" value="false"/>
   <property name="sslContextFactory">
    <bean class="org.apache.ignite.ssl.SslContextFactory">
     <property name="keyStoreFilePath" value="{file}"/>
     <property name="keyStorePassword" value="{password}"/>
     <property name="keyStoreType" value="PKCS12"/>
     <property name="trustManagers">
      <bean class="org.apache.ignite.ssl.SslContextFactory" factory-method="getDisabledTrustManager"/>
     </property>
    </bean>
   </property>"""


@dataclass(frozen=True)
class Terms:
    """What a server is started with. Ports: for clients, and for other servers."""

    folder: Path
    """Of its files."""
    port: int
    peer_port: int
    cache: str
    memory: int
    """MB; what is used least is evicted beyond, unless it keeps its data on disk."""
    login: bool = False
    """It wants one (the first is ignite, ignite), for which Ignite has to keep its data on disk."""
    disk: bool = False
    discovery: tuple[int, ...] = ()
    """Ports by which the servers of a cluster find each other, its own first. None: it is alone."""
    synchronization: str = "FULL_SYNC"
    """When the two copies are written that a cache has in a cluster."""
    keystore: tuple[Path, str] | None = None
    """The PKCS #12 file with a certificate for TLS, and its password."""

    def configuration(self) -> str:
        servers = "".join(f"<value>127.0.0.1:{port}</value>" for port in self.discovery)
        disk = self.disk or self.login
        words: Mapping[str, object] = {
            "port": self.port,
            "peer_port": self.peer_port,
            "cache": self.cache,
            "folder": self.folder,
            "bytes": max(16, self.memory) * 2**20,
            "login": str(self.login).lower(),
            "disk": str(disk).lower(),
            "eviction": "" if disk else _EVICTION,
            "discovery": _TOGETHER.format(own=self.discovery[0], all=servers) if servers else _ALONE,
            "copies": _COPIES.format(mode=self.synchronization) if servers else "",
            "tls": _TLS.format(file=self.keystore[0], password=self.keystore[1]) if self.keystore else "",
        }
        return _CONFIGURATION.format_map(words)


class NoIgnite(FileNotFoundError):
    """There is no Java, or there are no libraries of Ignite here; how to get them."""


def libraries() -> str:
    """The class path of a server. Raises NoIgnite, in one line."""
    if shutil.which("java") is None:
        raise NoIgnite("java is not on PATH; install it, for instance with `apt install openjdk-17-jre-headless`")
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        raise NoIgnite(HOW_TO_GET)
    files = sorted(Path(folder).glob("*.jar")) + sorted(Path(folder).glob("ignite-spring/*.jar"))
    if not {"ignite-core", "ignite-spring"} <= {file.name.rpartition("-")[0] for file in files}:
        raise NoIgnite(f"{folder} has none of these: {HOW_TO_GET}")
    return os.pathsep.join(map(str, files))


def command_line(terms: Terms) -> Sequence[str]:
    """What starts it. Raises NoIgnite."""
    path = libraries()
    configuration = terms.folder / "server.xml"
    configuration.write_text(terms.configuration())
    opened = [f"--add-opens={module}/{name}=ALL-UNNAMED" for module, names in _OPENED.items() for name in names.split()]
    options = ["-Xms64m", f"-Xmx{HEAP_MEGABYTES}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]
    options += [f"-XX:MaxDirectMemorySize={DIRECT_MEGABYTES}m"]  # Of connections: where it ends, the server halts.
    options += ["-Djava.net.preferIPv4Stack=true", "-DIGNITE_QUIET=true", "-DIGNITE_NO_ASCII=true"]
    options += ["-DIGNITE_UPDATE_NOTIFIER=false", "-DIGNITE_PERFORMANCE_SUGGESTIONS_DISABLED=true"]
    start = "org.apache.ignite.startup.cmdline.CommandLineStartup"
    return ["java", *options, *opened, "-cp", path, start, str(configuration)]


class SaidNo(RuntimeError):
    """A server answered a request with an error."""


@contextmanager
def dialogue(endpoint: str, login: bool = False, tls: bool = False) -> Iterator[Callable[[int, bytes], bytes]]:
    """Asks the server at `host:port` for one thing after the other: (operation, body) → the body of the reply.

    Raises OSError, also while it is not up yet, and SaidNo.
    """
    word = "ignite" if login else None
    with _connected(endpoint, tls) as connection:
        connection.sendall(handshake(word, word))
        if receive(connection, int.from_bytes(receive(connection, 4), "little"))[:1] != b"\x01":
            raise ConnectionRefusedError(f"{endpoint} lets no client in")

        def say(operation: int, body: bytes) -> bytes:
            connection.sendall(request(operation, body, 1))
            frames = Frames(changes=1)
            while chunk := connection.recv(1 << 16):
                for _, reply in frames.feed(chunk):
                    if isinstance(reply, Failed):
                        raise SaidNo(f"{endpoint} says {reply.words!r}")
                    return reply
            raise ConnectionResetError(f"{endpoint} closed the connection")

        yield say


def _connected(endpoint: str, tls: bool) -> socket.socket:
    stream = dial(endpoint, STARTUP)
    if not tls:
        return stream
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # It was started here, for a test.
    return context.wrap_socket(stream)


def ready(terms: Terms) -> bool:
    """Whether a server is up, and has its cache."""
    try:
        with dialogue(f"127.0.0.1:{terms.port}", terms.login, terms.keystore is not None) as say:
            if terms.disk or terms.login:  # It waits for this.
                say(_CHANGE_STATE, _ACTIVE)
            say(Operation.GET_SIZE, plain(cache_id(terms.cache)) + _ALL)
            return True
    except (OSError, SaidNo):
        return False
