package bench;

import java.time.Duration;
import java.util.Comparator;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The reference job on Kafka Streams; arguments: bootstrap, app, source, commands, folder, then settings. */
public final class Main {
  private static final String STORE = "cases";

  public static void main(String[] arguments) throws InterruptedException {
    Properties settings = new Properties();
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put("auto.offset.reset", "earliest");
    boolean caching = false;
    for (int i = 5; i < arguments.length; i++) {
      String[] pair = arguments[i].split("=", 2);
      if (pair[0].equals("caching")) {
        caching = Boolean.parseBoolean(pair[1]);
      } else {
        settings.put(pair[0], pair[1]);
      }
    }
    var cases =
        Stores.keyValueStoreBuilder(
            Stores.persistentKeyValueStore(STORE), Serdes.String(), Serdes.ByteArray());
    Topology topology = new Topology();
    topology.addSource(
        "events", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), arguments[2]);
    topology.addProcessor("job", Cases::new, "events");
    topology.addStateStore(caching ? cases.withCachingEnabled() : cases.withCachingDisabled(), "job");
    topology.addSink(
        "commands", arguments[3], Serdes.String().serializer(), Serdes.ByteArray().serializer(), "job");

    KafkaStreams streams = new KafkaStreams(topology, settings);
    CountDownLatch ended = new CountDownLatch(1);
    // The group is told, so that a restart does not wait for the old member's session to end.
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  streams.close(
                      CloseOptions.groupMembershipOperation(
                              CloseOptions.GroupMembershipOperation.LEAVE_GROUP)
                          .withTimeout(Duration.ofSeconds(20)));
                  ended.countDown();
                }));
    streams.start();
    ended.await();
  }

  private record Due(long atMs, String about) {}

  private static final class Cases implements Processor<String, byte[], String, byte[]> {
    /** In memory and rebuilt at start: a logged store would cost two more changelog records an event. */
    private final TreeSet<Due> deadlines =
        new TreeSet<>(Comparator.comparingLong(Due::atMs).thenComparing(Due::about));

    private ProcessorContext<String, byte[]> context;
    private KeyValueStore<String, byte[]> cases;

    @Override
    public void init(ProcessorContext<String, byte[]> context) {
      this.context = context;
      deadlines.clear();
      this.cases = context.getStateStore(STORE);
      try (KeyValueIterator<String, byte[]> all = cases.all()) {
        while (all.hasNext()) {
          KeyValue<String, byte[]> entry = all.next();
          long dueAtMs = Job.dueAtMs(entry.value);
          if (dueAtMs != 0) {
            deadlines.add(new Due(dueAtMs, entry.key));
          }
        }
      }
      context.schedule(Duration.ofMillis(10), PunctuationType.WALL_CLOCK_TIME, this::fireUntil);
    }

    @Override
    public void process(Record<String, byte[]> record) {
      Job.Event event = Job.event(record.value());
      byte[] stored = cases.get(record.key());
      Job.State state = stored == null ? new Job.State() : Job.state(stored);
      long before = state.due_at_ms;
      if (!Job.advance(state, event)) {
        return;
      }
      if (before != 0) {
        deadlines.remove(new Due(before, record.key()));
      }
      if (state.due_at_ms != 0) {
        deadlines.add(new Due(state.due_at_ms, record.key()));
      }
      cases.put(record.key(), Job.bytes(state));
      if (event.ask) {
        Job.Command command =
            Job.command(record.key(), state, "ask", state.due_at_ms, event.at_us);
        context.forward(record.withValue(Job.bytes(command)));
      }
    }

    private void fireUntil(long nowMs) {
      while (!deadlines.isEmpty() && deadlines.first().atMs() <= nowMs) {
        Due due = deadlines.pollFirst();
        Job.State state = Job.state(cases.get(due.about()));
        Job.fire(state);
        cases.put(due.about(), Job.bytes(state));
        Job.Command command = Job.command(due.about(), state, "due", due.atMs(), 0);
        context.forward(new Record<>(due.about(), Job.bytes(command), nowMs));
      }
    }
  }
}
