// Writes what Apache Kafka's storage classes decide and write, for tests/golden/test_log_files.c:
//   java -cp '<kafka>/libs/*' record/LogFiles.java log
import java.io.File;
import java.io.PrintStream;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.ControlRecordType;
import org.apache.kafka.common.record.EndTransactionMarker;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.metadata.properties.*;
import org.apache.kafka.server.util.Scheduler;
import org.apache.kafka.storage.internals.checkpoint.*;
import org.apache.kafka.storage.internals.epoch.LeaderEpochFileCache;
import org.apache.kafka.storage.internals.log.*;

public class LogFiles {
    static final TopicPartition TP = new TopicPartition("t", 0);

    public static void main(String[] args) throws Exception {
        Path out = Path.of(args[0]);
        Files.createDirectories(out);
        try (PrintStream p = new PrintStream(out.resolve("producer_state.tsv").toFile())) {
            for (int seed = 1; seed <= 60; seed++) producers(p, new Random(seed));
        }
        try (PrintStream p = new PrintStream(out.resolve("leader_epochs.tsv").toFile())) {
            for (int seed = 1; seed <= 40; seed++) epochs(p, new Random(seed));
        }
        try (PrintStream p = new PrintStream(out.resolve("transaction_index.tsv").toFile())) {
            for (int seed = 1; seed <= 20; seed++) transactions(p, new Random(seed));
        }
        try (PrintStream p = new PrintStream(out.resolve("files.tsv").toFile())) {
            files(p);
        }
    }

    static File temporary() throws Exception {
        File dir = Files.createTempDirectory("log").toFile();
        dir.deleteOnExit();
        return dir;
    }

    static String hex(File file) throws Exception {
        return HexFormat.of().formatHex(Files.readAllBytes(file.toPath()));
    }

    // ---- Producer state: random batches, markers, verifications; what was decided and what is left.

    static int sequence(long base, long add) {
        return (int) ((base + add) & Integer.MAX_VALUE);
    }

    static void producers(PrintStream p, Random random) throws Exception {
        File dir = temporary();
        ProducerStateManager manager = new ProducerStateManager(TP, dir, 900000,
            new ProducerStateManagerConfig(86400000, true), Time.SYSTEM);
        Method range = ProducerStateEntry.class.getDeclaredMethod("batchWithSequenceRange", int.class, int.class);
        range.setAccessible(true);
        long next = random.nextInt(100);
        p.println("begin\t" + next);
        boolean wrapped = random.nextInt(4) == 0;
        for (int step = 0; step < 60; step++) {
            long id = random.nextInt(3);
            Optional<ProducerStateEntry> known = manager.lastEntry(id);
            short epoch = (short) Math.max(0, known.map(e -> (int) e.producerEpoch()).orElse(0)
                + (random.nextInt(8) == 0 ? random.nextInt(3) - 1 : 0));
            int what = random.nextInt(12);
            if (what == 0) {
                long watermark = Math.max(0, next - random.nextInt(10));
                manager.onHighWatermarkUpdated(watermark);
                p.printf("watermark\t%d", watermark);
            } else if (what == 1) {
                int first = random.nextInt(4);
                boolean bump = random.nextInt(3) == 0;
                boolean open = manager.lastEntry(id).map(e -> e.currentTxnFirstOffset().isPresent()
                    && e.producerEpoch() == epoch).orElse(false);
                if (!open) manager.maybeCreateVerificationStateEntry(id, first, epoch, bump);
                p.printf("verify\t%d\t%d\t%d\t%b", id, epoch, first, bump);
            } else if (what <= 3) {
                int coordinator = known.map(ProducerStateEntry::coordinatorEpoch).orElse(0)
                    + (random.nextInt(6) == 0 ? random.nextInt(3) - 1 : 0);
                boolean abort = random.nextBoolean();
                short version = (short) (random.nextInt(3) == 0 ? 2 : 0);
                p.printf("marker\t%d\t%d\t%d\t%b\t%d", id, epoch, coordinator, abort, version);
                next = marker(p, manager, id, epoch, coordinator, abort, version, next);
            } else {
                int last = known.map(ProducerStateEntry::lastSeq).orElse(-1);
                int first = last < 0 ? (wrapped && known.isEmpty() ? Integer.MAX_VALUE - 3 : 0)
                    : sequence(last, 1);
                int count = 1 + random.nextInt(3);
                int odd = random.nextInt(10);
                if (odd == 0) first = sequence(first, random.nextInt(5) - 2);
                if (odd == 1 && known.isPresent() && !known.get().isEmpty()) {
                    List<BatchMetadata> batches = new ArrayList<>(known.get().batchMetadata());
                    BatchMetadata again = batches.get(random.nextInt(batches.size()));
                    first = again.firstSeq();
                    count = again.offsetDelta() + 1;
                }
                if (known.isPresent() && epoch != known.get().producerEpoch() && random.nextInt(3) > 0) first = 0;
                boolean transactional = known.map(e -> e.currentTxnFirstOffset().isPresent()).orElse(false)
                    ? random.nextInt(8) > 0 : random.nextInt(3) == 0;
                AppendOrigin origin = AppendOrigin.values()[random.nextInt(6) == 0 ? random.nextInt(2) : 2];
                p.printf("data\t%d\t%d\t%d\t%d\t%b\t%s", id, epoch, first, count, transactional, origin);
                next = data(p, manager, range, id, epoch, first, count, transactional, origin, next);
            }
            state(p, manager);
        }
        snapshot(p, manager, dir, next);
    }

    static long data(PrintStream p, ProducerStateManager manager, Method range, long id, short epoch, int first,
                     int count, boolean transactional, AppendOrigin origin, long next) throws Exception {
        int last = sequence(first, count - 1);
        Optional<ProducerStateEntry> known = manager.lastEntry(id);
        if (origin == AppendOrigin.CLIENT && known.isPresent() && known.get().producerEpoch() == epoch) {
            Optional<?> found = (Optional<?>) range.invoke(known.get(), first, last);
            if (found.isPresent()) {
                BatchMetadata batch = (BatchMetadata) found.get();
                p.printf("\tDUPLICATE\t%d\t%d", batch.firstOffset(), batch.lastOffset());
                return next;
            }
        }
        try {
            ProducerAppendInfo info = manager.prepareUpdate(id, origin);
            info.appendDataBatch(epoch, first, last, 1000 + next, new LogOffsetMetadata(next), next + count - 1,
                transactional);
            if (transactional) manager.clearVerificationStateEntry(id);
            manager.update(info);
            p.printf("\tNONE\t%d\t%d", next, next + count - 1);
            return next + count;
        } catch (Exception e) {
            p.printf("\t%s\t-1\t-1", Errors.forException(e).name());
            return next;
        }
    }

    static long marker(PrintStream p, ProducerStateManager manager, long id, short epoch, int coordinator,
                       boolean abort, short version, long next) {
        try {
            ProducerAppendInfo info = manager.prepareUpdate(id, AppendOrigin.COORDINATOR);
            Optional<CompletedTxn> completed = info.appendEndTxnMarker(new EndTransactionMarker(
                abort ? ControlRecordType.ABORT : ControlRecordType.COMMIT, coordinator), epoch, next, 1000 + next,
                version);
            manager.clearVerificationStateEntry(id);
            manager.update(info);
            if (completed.isPresent()) {
                long stable = manager.lastStableOffset(completed.get());
                manager.completeTxn(completed.get());
                p.printf("\tNONE\t%d\t%d", completed.get().firstOffset(), stable);
            } else {
                p.printf("\tNONE\t-1\t-1");
            }
            return next + 1;
        } catch (Exception e) {
            p.printf("\t%s\t-1\t-1", Errors.forException(e).name());
            return next;
        }
    }

    static void state(PrintStream p, ProducerStateManager manager) {
        p.printf("\t=%d", manager.firstUnstableOffset().map(o -> o.messageOffset).orElse(-1L));
        for (ProducerStateEntry e : new TreeMap<>(manager.activeProducers()).values())
            p.printf("\t%d,%d,%d,%d,%d,%d,%d", e.producerId(), e.producerEpoch(), e.lastSeq(), e.lastDataOffset(),
                e.lastOffsetDelta(), e.coordinatorEpoch(), e.currentTxnFirstOffset().orElse(-1));
        p.println();
    }

    static void snapshot(PrintStream p, ProducerStateManager manager, File dir, long next) throws Exception {
        File file = new File(dir, String.format("%020d.snapshot", next));
        ProducerStateManager.writeSnapshot(file, manager.activeProducers(), true);
        p.println("snapshot\t" + hex(file));
    }

    // ---- Leader epochs.

    static void epochs(PrintStream p, Random random) throws Exception {
        File dir = temporary();
        LeaderEpochCheckpointFile file = new LeaderEpochCheckpointFile(new File(dir, "leader-epoch-checkpoint"),
            new LogDirFailureChannel(1));
        Scheduler scheduler = (Scheduler) java.lang.reflect.Proxy.newProxyInstance(Scheduler.class.getClassLoader(),
            new Class<?>[]{Scheduler.class}, (proxy, method, arguments) -> {
                for (Object a : arguments == null ? new Object[0] : arguments)
                    if (a instanceof Runnable) ((Runnable) a).run();
                return null;
            });
        LeaderEpochFileCache cache = new LeaderEpochFileCache(TP, file, scheduler);
        int epoch = 0;
        long end = 0;
        p.println("begin");
        for (int step = 0; step < 30; step++) {
            int what = random.nextInt(8);
            if (what < 4) {
                epoch += random.nextInt(3);
                end += random.nextInt(10);
                cache.assign(epoch, end);
                p.printf("assign\t%d\t%d", epoch, end);
            } else if (what == 4) {
                long at = random.nextInt((int) end + 5);
                cache.truncateFromEndAsyncFlush(at);
                p.printf("truncate_end\t%d\t0", at);
            } else if (what == 5) {
                long at = random.nextInt((int) end + 5) / 2;
                cache.truncateFromStartAsyncFlush(at);
                p.printf("truncate_start\t%d\t0", at);
            } else {
                int asked = random.nextInt(epoch + 3);
                Map.Entry<Integer, Long> found = cache.endOffsetFor(asked, end + 100);
                p.printf("end_of\t%d\t%d\t%d\t%d", asked, end + 100, found.getKey(), found.getValue());
            }
            p.print("\t=");
            for (EpochEntry e : cache.epochEntries()) p.printf("%d,%d;", e.epoch(), e.startOffset());
            p.println();
        }
        p.println("file\t" + hex(new File(dir, "leader-epoch-checkpoint")));
    }

    // ---- Transaction index.

    static void transactions(PrintStream p, Random random) throws Exception {
        File file = new File(temporary(), "0.txnindex");
        TransactionIndex index = new TransactionIndex(0, file);
        long last = 0;
        p.println("begin");
        for (int i = 0; i < 12; i++) {
            last += 1 + random.nextInt(8);
            long first = Math.max(0, last - 1 - random.nextInt(12));
            long stable = Math.max(first, last + 1 - random.nextInt(8));
            index.append(new AbortedTxn(i, first, last, stable));
            p.printf("append\t%d\t%d\t%d\t%d%n", i, first, last, stable);
        }
        for (int i = 0; i < 30; i++) {
            long from = random.nextInt((int) last + 4);
            long to = from + random.nextInt(30);
            TxnIndexSearchResult result = index.collectAbortedTxns(from, to);
            p.printf("collect\t%d\t%d\t%b\t", from, to, result.isComplete());
            for (AbortedTxn txn : result.abortedTransactions()) p.printf("%d;", txn.producerId());
            p.println();
        }
        index.flush();
        p.println("file\t" + hex(file));
    }

    // ---- Single files.

    static void files(PrintStream p) throws Exception {
        File dir = temporary();
        LogDirFailureChannel channel = new LogDirFailureChannel(1);
        File offsets = new File(dir, "offsets");
        Map<TopicPartition, Long> map = new LinkedHashMap<>();
        map.put(new TopicPartition("a.b-c", 7), 1234567890123L);
        map.put(new TopicPartition("t", 0), 0L);
        new OffsetCheckpointFile(offsets, channel).write(map);
        p.println("checkpoint\t" + hex(offsets));
        File metadata = PartitionMetadataFile.newFile(dir);
        PartitionMetadataFile partition = new PartitionMetadataFile(metadata, channel);
        partition.record(Uuid.fromString("Pd3fVhAmRkeKe0nLWvBrSw"));
        partition.maybeFlush();
        p.println("partition.metadata\t" + hex(metadata));
        File meta = new File(dir, "meta.properties");
        PropertiesUtils.writePropertiesFile(new MetaProperties.Builder().setVersion(MetaPropertiesVersion.V1)
            .setClusterId("MkU3OEVBNTcwNTJENDM2Qg").setNodeId(17)
            .setDirectoryId(Uuid.fromString("Pd3fVhAmRkeKe0nLWvBrSw")).build().toProperties(), meta.getPath(), true);
        p.println("meta.properties\t" + hex(meta));
        CleanShutdownFileHandler handler = new CleanShutdownFileHandler(dir.getPath());
        handler.write(4711);
        p.println("clean\t" + hex(new File(dir, CleanShutdownFileHandler.CLEAN_SHUTDOWN_FILE_NAME)));
    }
}
