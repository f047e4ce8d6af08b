package bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** The reference job: the same records and the same steps as job.py. */
final class Job {
  static final int SEEN_MAX = 8;
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final ObjectReader EVENTS = JSON.readerFor(Event.class);
  private static final ObjectReader STATES = JSON.readerFor(State.class);
  private static final ObjectWriter STATE_WRITER = JSON.writerFor(State.class);
  private static final ObjectWriter COMMAND_WRITER = JSON.writerFor(Command.class);

  static final class Event {
    public String id;
    public String about;
    public long at_us;
    public long due_at_ms;
    public boolean ask;
    public String kind;
    public String store;
    public String note;
  }

  static final class State {
    public List<String> seen = new ArrayList<>(SEEN_MAX + 1);
    public int step;
    public int version;
    public int commands;
    public long due_at_ms;
    public String store;
    public String note;
  }

  static final class Command {
    public String id;
    public String about;
    public String kind;
    public int step;
    public int version;
    public long due_at_ms;
    public long at_us;
    public String text;
  }

  private Job() {}

  static Event event(byte[] data) {
    try {
      return EVENTS.readValue(data);
    } catch (IOException malformed) {
      throw new IllegalArgumentException(malformed);
    }
  }

  /** Moves the state in place; false if the event is a repeat. */
  static boolean advance(State state, Event event) {
    if (state.seen.contains(event.id)) {
      return false;
    }
    state.seen.add(event.id);
    if (state.seen.size() > SEEN_MAX) {
      state.seen.remove(0);
    }
    state.step = (state.step + 1) % 16;
    state.version += 1;
    state.due_at_ms = event.due_at_ms;
    state.store = event.store;
    state.note = event.note.substring(0, Math.min(100, event.note.length()));
    if (event.ask) {
      state.commands += 1;
    }
    return true;
  }

  static void fire(State state) {
    state.step = (state.step + 1) % 16;
    state.version += 1;
    state.commands += 1;
    state.due_at_ms = 0;
  }

  static Command command(String about, State state, String kind, long dueAtMs, long atUs) {
    Command command = new Command();
    command.id = about + "." + state.commands;
    command.about = about;
    command.kind = kind;
    command.step = state.step;
    command.version = state.version;
    command.due_at_ms = dueAtMs;
    command.at_us = atUs;
    command.text = state.note;
    return command;
  }

  static byte[] bytes(Command command) {
    try {
      return COMMAND_WRITER.writeValueAsBytes(command);
    } catch (JsonProcessingException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  /** Eight bytes of the deadline come first, so that rebuilding the index decodes no JSON. */
  static byte[] bytes(State state) {
    try {
      byte[] json = STATE_WRITER.writeValueAsBytes(state);
      return ByteBuffer.allocate(8 + json.length).putLong(state.due_at_ms).put(json).array();
    } catch (JsonProcessingException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  static State state(byte[] data) {
    try {
      return STATES.readValue(data, 8, data.length - 8);
    } catch (IOException malformed) {
      throw new IllegalStateException(malformed);
    }
  }

  static long dueAtMs(byte[] data) {
    return ByteBuffer.wrap(data).getLong();
  }
}
