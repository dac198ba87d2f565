"""These look at the process' own stderr, so each runs in a process of its own."""

import subprocess
import sys
import textwrap

LOUD = """
    import os, sys, threading
    import SimpleITK as sitk
    from tfreg import io

    def library(text):
        os.write(2, text.encode())
"""


def run(code):
    code = textwrap.dedent(LOUD) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_libraries_are_silent_and_python_is_not():
    code = """
        library("[before]")
        with io.quiet():
            library("[lost]")
            print("[python]", end="", file=sys.stderr)
            with io.quiet():
                library("[lost]")
            library("[lost]")
        library("[after]")
        print("[end]", end="", file=sys.stderr)
        """
    assert run(code) == (0, "", "[before][python][after][end]")


def test_errors_of_python_are_seen():
    code, _, seen = run("""
        try:
            with io.quiet():
                raise KeyError("inside")
        except KeyError:
            library("[heard]")
        with io.quiet():
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
        with io.quiet():
            raise ValueError("the last word")
        """)
    assert code == 1 and seen.startswith("[heard]")
    assert "ZeroDivisionError" in seen and seen.rstrip().endswith("ValueError: the last word")


def test_threads_overlap_and_the_last_one_restores():
    code = """
        before = sys.stderr, sitk.ProcessObject.GetGlobalWarningDisplay()
        opened = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

        def work(number):
            for _ in range(300):
                with io.quiet():
                    library("[lost]")

        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert (sys.stderr, sitk.ProcessObject.GetGlobalWarningDisplay()) == before
        if opened:
            assert len(os.listdir("/proc/self/fd")) == opened
        library("[after]")
        """
    assert run(code) == (0, "", "[after]")


def test_a_stream_put_in_place_meanwhile_stays():
    code = """
        import io as streams
        other = streams.StringIO()
        with io.quiet():
            sys.stderr = other
        assert sys.stderr is other
        with io.quiet():
            print("there", file=sys.stderr)
        assert other.getvalue() == "there\\n"
        """
    assert run(code) == (0, "", "")


def test_a_process_without_stderr():
    code = """
        os.close(2)
        with io.quiet():
            pass
        print("done")
        """
    assert run(code) == (0, "done\n", "")


def test_damaged_files_make_no_noise(tmp_path):
    code = f"""
        from pathlib import Path
        for name in ("a.tif", "a.nii", "a.mha", "a.png", "a.dcm", "a.nrrd"):
            path = Path({str(tmp_path)!r}) / name
            path.write_bytes(b"II*\\0" + bytes(600))
            try:
                io.read(path)
            except io.reading.InputError as error:
                print(str(error).count("\\n"))
        """
    assert run(code) == (0, "0\n" * 6, "")
