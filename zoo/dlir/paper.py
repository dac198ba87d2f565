"""What the DLIR paper says in numbers, with where they were read; none is from memory."""

# DLIR on DIR-Lab 4DCT: landmark error in mm, mean and SD over the 300 landmarks of each case,
# before and after; the last is that of all. A secondary source: two later papers print the same
# numbers (Hering et al., mlVIRNET, 2019, Table 1; Hering et al., MedIA 72, 2021, Table 5).
DIRLAB = {
    "case 1": ((3.89, 2.78), (1.27, 1.16)),
    "case 2": ((4.34, 3.90), (1.20, 1.12)),
    "case 3": ((6.94, 4.05), (1.48, 1.26)),
    "case 4": ((9.83, 4.85), (2.09, 1.93)),
    "case 5": ((7.48, 5.50), (1.95, 2.10)),
    "case 6": ((10.89, 6.96), (5.16, 7.09)),
    "case 7": ((11.03, 7.42), (3.05, 3.01)),
    "case 8": ((14.99, 9.00), (6.48, 5.37)),
    "case 9": ((7.92, 3.97), (2.10, 1.66)),
    "case 10": ((7.30, 6.34), (2.09, 2.24)),
    "all": ((8.46, 6.58), (2.64, 4.32)),
}
